"""What charts show: values, expected ranges, scores and alerts of a metric, side by side in time."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from anomflow.frames import HISTORY, METRIC, SCORE
from anomflow.ingestion import POINT

NUMBERS = ("expected_low", "expected_high", "threshold", "A", "value")


def build_histories(rows: pl.DataFrame, alerts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Join rows of type metric and score and alerts (metric_name, metric_timestamp, kind) to one HISTORY a metric, oldest first."""
    is_type = pl.col("metric_type")
    values = rows.filter(is_type == METRIC).unique(POINT, keep="last").select(*POINT, "metric_value")
    facts = [pl.col("metadata").str.json_path_match(f"$.{name}").cast(pl.Float64, strict=False).alias(name) for name in NUMBERS]
    scores = rows.filter(is_type == SCORE).unique(POINT, keep="last").select(*POINT, pl.col("metric_value").alias("anomaly_score"), *facts)
    kinds = alerts.group_by(POINT).agg(pl.col("kind").sort().first().alias("alert"))
    joined = values.join(scores, on=POINT, how="full", coalesce=True).join(kinds, on=POINT, how="left")
    # Of resampled metrics the charts show what was judged: the bucket's value.
    shown = joined.with_columns(pl.coalesce("value", "metric_value").alias("metric_value"))
    if not scores.is_empty() and _is_resampled(values, scores):
        shown = shown.filter(pl.col("anomaly_score").is_not_null() | pl.col("value").is_not_null())
    ordered = shown.sort("metric_timestamp").select("metric_name", *HISTORY)
    parts = ordered.partition_by("metric_name", as_dict=True, include_key=False)
    return {str(name): part.cast(HISTORY) for (name,), part in sorted(parts.items())}  # type: ignore[arg-type]


def _is_resampled(values: pl.DataFrame, scores: pl.DataFrame) -> bool:
    """Tell whether judged values are not those of the rows, which aggregation makes them."""
    both = values.join(scores, on=POINT, how="inner").drop_nulls(["metric_value", "value"])
    differing = both.filter((pl.col("metric_value") - pl.col("value")).abs() > 1e-9 * pl.col("value").abs())
    return differing.height > both.height // 10 or (both.is_empty() and not values.is_empty())


def rank_histories(histories: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return the metrics, those with alerts first, then by their highest recent score."""

    def key(name: str) -> tuple[bool, float, str]:
        history = histories[name]
        return (history["alert"].null_count() == history.height, -float(history["anomaly_score"].max() or 0.0), name)  # type: ignore[arg-type]

    return sorted(histories, key=key)
