"""What PostgreSQL is asked about its tables; names and texts come in as SQL that the session quoted, or with its quoting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def build_columns_query(table: str) -> str:
    """Ask for the name and type of each column of a table, in their order; no row where there is no such table."""
    return (
        "select attname::text as name, format_type(atttypid, atttypmod) as type from pg_catalog.pg_attribute "
        f"where attrelid = to_regclass({table}) and attnum > 0 and not attisdropped order by attnum"
    )


def build_key_query(table: str, key: Sequence[str]) -> str:
    """Ask for a row where a unique index on just these columns, in any order, keeps each key of a table single."""
    names = (
        "(select array_agg(a.attname::text) from pg_catalog.pg_attribute as a where a.attrelid = i.indrelid and a.attnum = any(i.indkey))"
    )
    listed = f"array[{', '.join(key)}]"
    return (
        f"select 1 as found from pg_catalog.pg_index as i where i.indrelid = to_regclass({table}) "
        "and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null "
        f"and i.indnatts = {len(key)} and {names} @> {listed} and {names} <@ {listed}"
    )


def build_lock_query(family: str, *, has_schema: bool) -> str:
    """Wait for the right to write the tables of a table key, and keep it until the transaction ends."""
    place = family if has_schema else f"coalesce(current_schema(), '') || '.' || {family}"
    return f"select pg_advisory_xact_lock(hashtextextended('anomflow ' || {place}, 0))::text as locked"


def find_ranges(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return the first and last time (inclusive) of each batch and type of rows of observations."""
    time = pl.col("metric_timestamp")
    return rows.group_by("metric_batch", "metric_type").agg(time.min().alias("first"), time.max().alias("last")).rows()


def build_ranges_query(table: str, ranges: Sequence[tuple[Any, ...]], literal: Callable[[object], str]) -> str:
    """Ask for a row where a table of observations has one in any of the ranges."""
    within = " or ".join(
        f"(metric_batch = {literal(batch)} and metric_type = {literal(kind)} and metric_timestamp >= {literal(first)} "
        f"and metric_timestamp <= {literal(last)})"
        for batch, kind, first, last in ranges
    )
    return f"select 1 as found from {table} where {within} limit 1"
