"""Anomalies: rows whose score reaches the threshold that the wanted rate of false alarms asks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow import calibration
from anomflow.decisions.candidate import ANOMALY, Candidate, build_candidate
from anomflow.decisions.names import select_metrics
from anomflow.feedback import NO_FEEDBACK, find_notes, raise_thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anomflow.feedback import Adjustment
    from anomflow.sections.alerts import AlertSpec

ALWAYS_OPEN: Final = 3  # alerts in 30 days beyond the false alarms asked for: true incidents need room too


def find_anomalies(
    scores: pl.DataFrame, spec: AlertSpec, adjustments: Mapping[str, Adjustment] = NO_FEEDBACK.adjustments
) -> tuple[pl.DataFrame, tuple[Candidate, ...]]:
    """Return the scores with their threshold filled in, and the rows that reach it (inclusive, unrounded).

    A row alerts on the side that ``alert_direction`` asks for and from ``alert_min_change`` on (inclusive); where the
    detector expects nothing, neither can be told and the row alerts. A row without step has no threshold.
    ``adjustments`` raise the thresholds of metrics whose alerts were rejected, but not a given ``alert_threshold``.
    """
    judged = _fill_thresholds(scores, spec, adjustments if spec.alert_threshold is None else {})
    scored = judged.filter(pl.col("reason").is_null() & pl.col("anomaly_score").is_not_nan())
    anomalous = scored.filter(pl.col("anomaly_score") >= pl.col("threshold"), _has_direction(spec), _is_large(spec))
    told = select_metrics(anomalous, spec.alert_include_metrics, spec.alert_exclude_metrics)
    rows = told.sort("metric_name", "metric_timestamp").iter_rows(named=True)
    return judged, tuple(build_candidate(row, ANOMALY, _explain(row), spec.alert_max_age) for row in rows)


def find_budget(spec: AlertSpec) -> int:
    """Return how many anomaly alerts a metric may open in 30 days before only a higher one may: 3 + T."""
    return ALWAYS_OPEN + math.ceil(spec.alert_false_alarms_per_month)


def parse_min_change(value: float | str | None) -> tuple[float, bool]:
    """Read a smallest change: its size, and whether that is a share of the expected value (``10%`` -> 0.1, True).

    Raises ValueError on a text that is neither a number nor a percentage, and on a negative or infinite one.
    """
    text = str(0.0 if value is None else value).strip()
    try:
        size = float(text.removesuffix("%"))
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise ValueError(f"alert_min_change is {value!r}; give a number from 0 on, or a percentage such as 10%")
    return (size / 100, True) if text.endswith("%") else (size, False)


def _fill_thresholds(scores: pl.DataFrame, spec: AlertSpec, adjustments: Mapping[str, Adjustment]) -> pl.DataFrame:
    """Fill in the thresholds, and say in a row's explanation that its one was raised."""
    thresholds = _find_thresholds(scores, spec)
    if not adjustments:
        return scores.with_columns(thresholds.alias("threshold"))
    notes = find_notes(scores["metric_name"], adjustments)
    return scores.with_columns(
        raise_thresholds(thresholds, scores["metric_name"], adjustments).alias("threshold"),
        pl.concat_str("explanation", notes, separator="; ", ignore_nulls=True).replace("", None).alias("explanation"),
    )


def _find_thresholds(scores: pl.DataFrame, spec: AlertSpec) -> pl.Series:
    if spec.alert_threshold is not None:
        return pl.repeat(spec.alert_threshold, scores.height, dtype=pl.Float64, eager=True)
    steps = scores["step_seconds"].cast(pl.Float64).fill_null(math.nan).to_numpy()
    wanted = calibration.threshold(steps, spec.alert_false_alarms_per_month)
    return pl.Series(calibration.anomaly_score(wanted), dtype=pl.Float64).fill_nan(None)


def _has_direction(spec: AlertSpec) -> pl.Expr:
    above = pl.col("metric_value") - pl.col("expected")
    sides = {"up": above > 0, "down": above < 0, "both": pl.lit(value=True)}
    return sides[spec.alert_direction].fill_null(value=True)


def _is_large(spec: AlertSpec) -> pl.Expr:
    size, is_share = parse_min_change(spec.alert_min_change)
    needed = pl.col("expected").abs() * size if is_share else pl.lit(size)
    return ((pl.col("metric_value") - pl.col("expected")).abs() >= needed).fill_null(value=True)


def _explain(row: Mapping[str, Any]) -> str:
    return row["explanation"] or f"anomaly score {row['anomaly_score']:.4g}, threshold {row['threshold']:.4g}"
