"""Rows that conformance tests write, and how they write and read them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from anomflow.frames import ALERTS, OBSERVATIONS, Table

DAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def build_rows(*rows: tuple[object, ...], kind: str = "metric") -> pl.DataFrame:
    """Make OBSERVATIONS rows of (time, name, value) or (time, name, value, metadata)."""
    full = [(moment, "b", name, kind, value, *(rest or [None])) for moment, name, value, *rest in rows]
    return pl.DataFrame(full, schema=OBSERVATIONS.columns, orient="row")


def build_many(count: int) -> pl.DataFrame:
    """Make OBSERVATIONS rows of 100 metrics, one a minute, whose values count from 0."""
    return pl.select(
        metric_timestamp=(pl.lit(DAY) + pl.duration(minutes=pl.int_range(count) // 100)).dt.cast_time_unit("us"),
        metric_batch=pl.lit("b"),
        metric_name=pl.format("metric {}", pl.int_range(count) % 100),
        metric_type=pl.lit("metric"),
        metric_value=pl.int_range(count).cast(pl.Float64),
        metadata=pl.lit(None, dtype=pl.String),
    )


def build_alert(alert_id: str, **columns: object) -> pl.DataFrame:
    return pl.DataFrame([{"alert_id": alert_id, **columns}], schema=ALERTS.columns)


def fill(warehouse: Any, rows: pl.DataFrame) -> None:
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
        session.upsert(OBSERVATIONS, "metrics", rows)


def read_all(warehouse: Any, table: Table = OBSERVATIONS, name: str = "metrics") -> pl.DataFrame:
    with warehouse.reading() as session:
        return session.read_table(table, name)


def read_values(warehouse: Any) -> list[tuple[object, ...]]:
    rows = read_all(warehouse).sort("metric_name", "metric_timestamp")
    return rows.select("metric_timestamp", "metric_name", "metric_value").rows()
