"""Missing rows: gaps in the history of metrics that otherwise have a row at every step."""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.decisions.candidate import MISSING, Candidate, find_max_age
from anomflow.decisions.names import select_metrics
from anomflow.decisions.volume import ALL_METRICS
from anomflow.ledger.states import RESOLVED
from anomflow.periods import drop_covered
from anomflow.wording import render_duration, render_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any

    from anomflow.decisions.freshness import Patience
    from anomflow.sections.alerts import AlertSpec

# How far back the ends of gaps lie that are told, and how far back those of alerts that may be resolved.
RECENT: Final = timedelta(days=4)
REMEMBERED: Final = timedelta(weeks=3)

_WEEK: Final = timedelta(weeks=1)
_KNOWN: Final = timedelta(weeks=2)  # of rows before a gap: two weekends would have shown that they are free
_FEWEST: Final = 12  # pauses of one length below which nothing is learned
_SHARE: Final = 0.98  # of the pauses that have the length of a step
_FREE: Final = 2  # pauses of any length that do not count against it: the gap itself, a clock that was put forward
_ALIKE: Final = 0.8  # of a gap's length, from which an earlier one makes it usual
_USUAL: Final = 2  # weeks with such a gap before it, from which it is


def find_lossy(gaps: pl.DataFrame, told: pl.DataFrame, spec: AlertSpec) -> list[str]:
    """Return the metrics whose history has to be looked at: regular ones with recent gaps, and those with alerts to resolve."""
    if spec.disable_missing:
        return []
    regular = select_metrics(gaps.filter(_is_regular()), spec.alert_include_metrics, spec.alert_exclude_metrics)
    return sorted({*regular["metric_name"], *told.filter(pl.col("status") != RESOLVED)["metric_name"]})


def find_missing(gaps: pl.DataFrame, outages: pl.DataFrame, spec: AlertSpec, patience: Patience) -> tuple[Candidate, ...]:
    """Return a candidate for each recent gap that is unusual for its metric, at the first row after it.

    ``gaps`` holds the rows of the query ``gaps``. ``outages`` holds the alerts of freshness and of volume (``metric_name``,
    ``metric_timestamp``, ``detected_at``): a gap that began while its metric was overdue, or within which its batch
    dropped, was told by them. The end of a gap is where it stands, since rows that are filled in later mostly come in from
    its start. A gap that an ignored period of its metric touches is none.
    """
    counted = drop_covered(gaps.filter(_is_regular()), patience.periods, (pl.col("previous_timestamp"), pl.col("metric_timestamp")))
    shown = select_metrics(counted, spec.alert_include_metrics, spec.alert_exclude_metrics)
    grace = spec.missing_grace or patience.arrival
    found: list[Candidate] = []
    for _, of_metric in groupby(shown.sort("metric_name", "metric_timestamp").iter_rows(named=True), key=lambda row: row["metric_name"]):
        rows = list(of_metric)
        found += [_build(row, spec, grace) for row in rows if _is_due(row, patience.as_of, grace) and _is_unusual(row, rows, spec)]
    return tuple(candidate for candidate in found if not _is_told(candidate, gaps, outages))


def find_filled(gaps: pl.DataFrame, told: pl.DataFrame, until: datetime) -> pl.DataFrame:
    """Return the recorded gaps (``metric_name``, ``metric_timestamp``) of the last weeks that are none any more."""
    live = told.filter(pl.col("status") != RESOLVED, pl.col("metric_timestamp") > until - REMEMBERED, pl.col("metric_timestamp") <= until)
    return live.join(gaps, on=["metric_name", "metric_timestamp"], how="anti").select("metric_name", "metric_timestamp")


def _is_regular() -> pl.Expr:
    return (pl.col("regular") >= _SHARE * (pl.col("pauses") - _FREE)) & (pl.col("step") > 0)


def _is_due(row: Mapping[str, Any], as_of: datetime, grace: timedelta) -> bool:
    age: timedelta = as_of - row["metric_timestamp"]
    return grace <= age <= RECENT + grace


def _is_unusual(row: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], spec: AlertSpec) -> bool:
    start = row["previous_timestamp"]
    is_known: bool = row["regular"] >= _FEWEST and start - row["first_point"] >= _KNOWN
    alike = [other for other in rows if other["metric_timestamp"] <= start and _count(other) >= _ALIKE * _count(row)]
    weeks = {(start - other["metric_timestamp"]) // _WEEK for other in alike}
    return is_known and len(weeks) < _USUAL and _count(row) >= spec.missing_min_rows


def _count(row: Mapping[str, Any]) -> int:
    steps: float = row["pause"] / row["step"]
    return max(1, round(steps) - 1)


def _is_told(candidate: Candidate, gaps: pl.DataFrame, outages: pl.DataFrame) -> bool:
    of_gap = gaps.filter(metric_name=candidate.metric_name, metric_timestamp=candidate.metric_timestamp)
    start, told_at = of_gap["previous_timestamp"].item(), pl.col("metric_timestamp")
    is_overdue = (pl.col("metric_name") == candidate.metric_name) & (told_at <= start) & (pl.col("detected_at") > start)
    is_dropped = (pl.col("metric_name") == ALL_METRICS) & (told_at > start) & (told_at < candidate.metric_timestamp)
    return not outages.filter(is_overdue | is_dropped).is_empty()


def _build(row: Mapping[str, Any], spec: AlertSpec, grace: timedelta) -> Candidate:
    start, end = (row[name].astimezone(UTC) for name in ("previous_timestamp", "metric_timestamp"))
    step, count = timedelta(seconds=row["step"]), _count(row)
    rows = "1 row is" if count == 1 else f"{count} rows are"
    return Candidate(
        metric_name=row["metric_name"],
        kind=MISSING,
        metric_timestamp=end,
        metric_value=None,
        expected_low=None,
        expected_high=None,
        anomaly_score=None,
        surprise=None,
        reason=f"{rows} missing between {render_time(start)} and {render_time(end)}; usually there is one every {render_duration(step)}",
        max_age=grace + find_max_age(spec.alert_max_age, row["step"]),
        snooze_from=end - spec.alert_snooze_n * step,
        snooze_until=end + spec.alert_snooze_n * step,
    )
