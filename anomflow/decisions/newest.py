"""Information on the newest point of each metric, for those who want a message whatever it says (``alert_always``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from anomflow.decisions.candidate import INFO, Candidate, build_candidate
from anomflow.decisions.names import select_metrics

if TYPE_CHECKING:
    from anomflow.sections.alerts import AlertSpec


def find_newest(scores: pl.DataFrame, spec: AlertSpec) -> tuple[pl.DataFrame, tuple[Candidate, ...]]:
    """Return the newest scored row of each metric, and a candidate for each; none unless ``alert_always`` is set.

    Only these rows count as judged: an information on an older point was true when it was told.
    """
    if not spec.alert_always:
        return scores.clear(), ()
    scored = scores.filter(pl.col("reason").is_null() & pl.col("anomaly_score").is_not_null())
    told = select_metrics(scored, spec.alert_include_metrics, spec.alert_exclude_metrics)
    newest = told.sort("metric_name", "metric_timestamp").group_by("metric_name", maintain_order=True).last()
    rows = newest.iter_rows(named=True)
    return newest, tuple(build_candidate(row, INFO, "newest point", spec.alert_max_age) for row in rows)
