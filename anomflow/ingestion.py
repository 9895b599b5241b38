"""Which incoming rows are new or changed, and which scores they make void."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from anomflow.frames import METRIC, SCORE
from anomflow.sections.common import FeatureSpec
from anomflow.series import bucket_starts
from anomflow.spec import BatchSpec

POINT = ["metric_name", "metric_timestamp"]


@dataclass(frozen=True, eq=False)
class Incoming:
    """Rows ready to be written: rounded, and not older than the retention.

    ``outdated`` and ``future`` count the rows left out for their time.
    """

    rows: pl.DataFrame
    outdated: int
    future: int


def build_incoming(observations: pl.DataFrame, spec: BatchSpec, as_of: datetime, *, keep_future: bool) -> Incoming:
    """Round the values and leave out rows that retention would drop again and, unless they are kept, rows after ``as_of``.

    A live run keeps them: a source whose clock is ahead may never return them again. They are judged when it is time.
    A run over a past time leaves them to the run of their own time.
    """
    oldest = as_of - timedelta(days=spec.ingest.delete_after_n_days)
    time = pl.col("metric_timestamp")
    value = pl.col("metric_value")
    future = observations.filter(time > as_of) if not keep_future else observations.clear()
    kept = observations.filter(time >= oldest, keep_future | (time <= as_of)).with_columns(
        _rounded(value, spec.ingest.ingest_metric_rounding)
    )
    return Incoming(
        kept,
        outdated=observations.filter(time < oldest).height,
        future=future.height,
    )


def _rounded(value: pl.Expr, decimals: int) -> pl.Expr:
    if decimals >= 0:
        # Beyond 2**53 a double has no decimals, and scaling it up could overflow.
        return pl.when(value.abs() < 2.0**53).then(value.round(decimals)).otherwise(value)
    unit = 10.0**-decimals
    return (value / unit).round(0) * unit


@dataclass(frozen=True, eq=False)
class Changes:
    """Rows to write, split from those that are there already with the same value; ``changed`` had another value before."""

    written: pl.DataFrame
    changed: pl.DataFrame
    unchanged: int


def find_changes(incoming: pl.DataFrame, existing: pl.DataFrame) -> Changes:
    """Compare incoming rows with the existing ones of the same metrics; of duplicates that exist, any differing one counts."""
    known = existing.group_by(POINT).agg(pl.len().alias("copies"), pl.col("metric_value").last().alias("old"))
    compared = incoming.join(known, on=POINT, how="left")
    same = pl.col("metric_value").eq_missing(pl.col("old")) & (pl.col("copies") == 1)
    is_known = pl.col("copies").is_not_null()
    columns = incoming.columns
    return Changes(
        written=compared.filter(~(is_known & same)).select(columns),
        changed=compared.filter(is_known & ~pl.col("metric_value").eq_missing(pl.col("old"))).select(columns),
        unchanged=compared.filter(is_known & same).height,
    )


def feed_points(points: pl.DataFrame, features: FeatureSpec, timezone: str) -> pl.DataFrame:
    """Return the points whose scores the given ones feed: their buckets, or themselves where rows are judged as they are."""
    return points.select("metric_name", bucket_starts(pl.col("metric_timestamp"), features, timezone))


def score_keys(points: pl.DataFrame, batch: str) -> pl.DataFrame:
    """Return the keys of the score rows at the given points (metric_name, metric_timestamp)."""
    return points.select(
        pl.lit(batch).alias("metric_batch"),
        "metric_name",
        pl.lit(SCORE).alias("metric_type"),
        "metric_timestamp",
    ).unique(maintain_order=True)


def metric_rows(points: pl.DataFrame, batch: str) -> pl.DataFrame:
    """Return points as rows of the observations table, of type metric."""
    return points.select(
        "metric_timestamp",
        pl.lit(batch).alias("metric_batch"),
        "metric_name",
        pl.lit(METRIC).alias("metric_type"),
        "metric_value",
        pl.col("metadata") if "metadata" in points.columns else pl.lit(None, pl.String).alias("metadata"),
    )


def quote_rejected(rejected: pl.DataFrame) -> list[str]:
    """Return up to five rejected rows as text, each with the reason."""
    return [f"rejected {'; '.join(f'{name} {value!r}' for name, value in row.items())}" for row in rejected.head(5).iter_rows(named=True)]
