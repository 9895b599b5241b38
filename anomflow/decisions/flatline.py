"""Flat lines: a metric that stays at one value for unusually long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from anomflow.decisions.candidate import FLATLINE, Candidate, build_candidate
from anomflow.decisions.names import select_metrics

if TYPE_CHECKING:
    from anomflow.sections.alerts import AlertSpec


def find_flatlines(scores: pl.DataFrame, spec: AlertSpec) -> tuple[pl.DataFrame, tuple[Candidate, ...]]:
    """Return the judged rows, and those at which the detector saw a run of one value get unusually long."""
    if spec.disable_flatline:
        return scores.clear(), ()
    judged = select_metrics(scores, spec.alert_include_metrics, spec.alert_exclude_metrics)
    rows = judged.filter(pl.col("flat_rows") > 0).sort("metric_name", "metric_timestamp").iter_rows(named=True)
    return judged, tuple(_build(row, spec) for row in rows)


def _build(row: dict[str, object], spec: AlertSpec) -> Candidate:
    reason = f"the value has not changed for {row['flat_rows']} rows"
    candidate = build_candidate(row, FLATLINE, reason, spec.alert_max_age)
    return replace(candidate, anomaly_score=None, surprise=None)  # the rule has no score of its own
