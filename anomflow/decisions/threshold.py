"""Static thresholds: values beyond a bound that a person gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.decisions.candidate import DAY, THRESHOLD, Candidate
from anomflow.decisions.names import matches
from anomflow.decisions.neighbours import Placement, place_candidates

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anomflow.sections.alerts import ThresholdSpec

_BOUNDS: Final = {"metric_name": pl.String(), "lower": pl.Float64(), "upper": pl.Float64()}


def find_breaches(rows: pl.DataFrame, spec: ThresholdSpec) -> tuple[pl.DataFrame, tuple[Candidate, ...]]:
    """Return the rows that have a bound, and a candidate for each value beyond one (a value on it is not).

    Snooze ranges and ages are those that ``rows`` alone tell; where these are new or changed rows only, call
    ``place_candidates`` with all rows known of the candidates' metrics.
    """
    if spec.disable_tholdalert:
        return rows.clear(), ()
    judged = rows.join(_build_bounds(spec), on="metric_name", how="inner", maintain_order="left")
    value = pl.col("metric_value")
    beyond = judged.filter((value > pl.col("upper")) | (value < pl.col("lower")), value.is_not_nan())
    ordered = beyond.sort("metric_name", "metric_timestamp").iter_rows(named=True)
    candidates = tuple(_build(row) for row in ordered)
    return judged.select(rows.columns), place_candidates(candidates, rows, Placement(spec.tholdalert_snooze_n))


def _build_bounds(spec: ThresholdSpec) -> pl.DataFrame:
    bounds = [
        {"metric_name": name, "lower": given.get("lower"), "upper": given.get("upper")}
        for name, given in spec.tholdalert_thresholds.items()
        if given and not matches(name, spec.tholdalert_exclude_metrics)
    ]
    return pl.DataFrame(bounds, schema=_BOUNDS)


def _build(row: Mapping[str, Any]) -> Candidate:
    return Candidate(
        metric_name=row["metric_name"],
        kind=THRESHOLD,
        metric_timestamp=row["metric_timestamp"],
        metric_value=row["metric_value"],
        expected_low=row["lower"],
        expected_high=row["upper"],
        anomaly_score=None,
        surprise=None,
        reason=_explain(row["metric_value"], row["lower"], row["upper"]),
        max_age=DAY,
    )


def _explain(value: float, lower: float | None, upper: float | None) -> str:
    if upper is not None and value > upper:
        return f"{value:.6g} is {value - upper:.6g} above the upper bound {upper:.6g}"
    bound = value if lower is None else lower
    return f"{value:.6g} is {bound - value:.6g} below the lower bound {bound:.6g}"
