"""What comes with Anomflow, in the order in which it is shown; blocks are found by themselves, and a test compares."""

from __future__ import annotations

from typing import Final

WAREHOUSES: Final = ("duckdb", "sqlite", "postgres", "redshift", "bigquery", "snowflake", "clickhouse", "turso", "motherduck")
