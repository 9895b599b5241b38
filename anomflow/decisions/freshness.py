"""Freshness: metrics that have had no new row for longer than expected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.decisions.candidate import FRESHNESS, Candidate, find_max_age
from anomflow.decisions.names import select_metrics
from anomflow.ledger.states import RESOLVED
from anomflow.periods import Period, find_covered
from anomflow.wording import render_duration, render_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from anomflow.sections.alerts import AlertSpec

# Of recorded outages: which metric, its last row before, what became of the alert.
TOLD: Final = {"metric_name": pl.String(), "metric_timestamp": pl.Datetime("us", "UTC"), "status": pl.String()}

# How far back a metric's pauses are learned from, and how old a newest row can be that anybody still waits for.
MEMORY: Final = timedelta(weeks=6)

_ROW: Final = ["metric_name", "last_point"]
_WEEK: Final = timedelta(weeks=1)
_FEWEST: Final = 10  # pauses below which nothing is learned
_SPARE: Final = 1.25  # how much longer than any usual pause the next one may be
_STEPS: Final = 2  # further usual pauses: a row that is labelled by its start comes one step after it
_UNSEEN: Final = timedelta(days=3)  # a night or a weekend may come that a metric known for less than a week did not show
_QUIET: Final = 4  # deadlines around an alert in which no other one is told: rows that trickle in are one outage


@dataclass(frozen=True)
class Patience:
    """What is known beside the pauses: when it is judged, how long rows take to come in at most, when none are expected.

    ``drops``: which drops of the batch were told.
    """

    as_of: datetime
    arrival: timedelta = timedelta(0)
    periods: tuple[Period, ...] = ()
    drops: tuple[datetime, ...] = ()


def find_suspects(newest: pl.DataFrame, spec: AlertSpec, patience: Patience) -> list[str]:
    """Return the metrics whose newest row (``metric_name``, ``last_point``) is old enough that their cadence has to be looked at."""
    if spec.disable_freshness:
        return []
    told = select_metrics(newest, spec.alert_include_metrics, spec.alert_exclude_metrics)
    shortest = spec.freshness_max_age or patience.arrival
    return sorted(told.filter(patience.as_of - pl.col("last_point") > shortest)["metric_name"])


def learn_deadlines(cadence: pl.DataFrame, spec: AlertSpec, patience: Patience) -> pl.DataFrame:
    """Return ``metric_name``, ``usual``, ``longest`` and ``deadline`` (seconds), the age at which a newest row is too old.

    ``cadence`` has a row for each metric and week before its newest row: ``pauses`` (how many), ``total`` and ``longest``
    (seconds). The longest pause counts that at least two weeks had, so that nights, weekends and a metric's own
    irregularity are expected and one earlier outage is not; of less than three weeks, the longest of all. A metric with
    fewer than ten pauses has a deadline only where ``freshness_max_age`` gives it.
    """
    longest = pl.col("longest").top_k(2)
    of_metric = cadence.group_by("metric_name").agg(
        pl.col("pauses").sum().alias("count"),
        ((pl.col("total").sum() - pl.col("longest").max()) / (pl.col("pauses").sum() - 1)).alias("usual"),
        pl.when(pl.len() >= 3).then(longest.min()).otherwise(longest.max()).cast(pl.Float64).alias("longest"),  # noqa: PLR2004 - weeks
        pl.col("total").sum().alias("known"),
    )
    learned = _SPARE * pl.col("longest") + _STEPS * pl.col("usual") + patience.arrival.total_seconds()
    is_new = pl.col("known") < _WEEK.total_seconds()
    cautious = pl.when(is_new).then(pl.max_horizontal(learned, pl.lit(_UNSEEN.total_seconds()))).otherwise(learned)
    given = pl.lit(spec.freshness_max_age.total_seconds() if spec.freshness_max_age else None, pl.Float64)
    deadline = pl.when(pl.col("count") >= _FEWEST).then(cautious)
    return of_metric.select("metric_name", "usual", "longest", pl.coalesce(given, deadline).alias("deadline"))


def find_overdue(newest: pl.DataFrame, cadence: pl.DataFrame, spec: AlertSpec, patience: Patience) -> tuple[Candidate, ...]:
    """Return a candidate for each metric whose newest row is older than its deadline.

    ``newest`` has ``metric_name``, ``last_point`` and, as far as is known, ``recovered`` (of ``add_recovered``): after an
    outage that ended, the next one is waited for until it can be no part of that one. Metrics that fell silent as part of a
    drop of the whole batch (``drops``: when those began that last) are told by its alert.
    Its timestamp is that of the newest row, so that an outage is one alert however often it is looked at and whatever is
    learned meanwhile. Its age counts from the deadline: a metric that was given up long ago is late, not open. A deadline in
    an ignored period is put off to its end, and by as much longer as a row usually takes to come.
    """
    names = find_suspects(newest, spec, patience)
    deadlines = learn_deadlines(cadence, spec, patience)
    if spec.freshness_max_age:
        deadlines = _give_all(names, deadlines, spec.freshness_max_age)
    judged = newest.filter(pl.col("metric_name").is_in(names)).join(deadlines, on="metric_name").drop_nulls("deadline").sort("metric_name")
    quiet = _QUIET * pl.col("deadline") - _seconds(pl.col("last_point") - pl.col("recovered")) if "recovered" in judged.columns else None
    judged = _put_off(judged, patience)
    waited = judged.with_columns(pl.max_horizontal(pl.col("deadline"), quiet).alias("wait"))
    is_overdue = _seconds(patience.as_of - pl.col("last_point")) > pl.col("wait")
    return tuple(_build(row, spec) for row in waited.filter(is_overdue).iter_rows(named=True) if not _is_dropped(row, patience))


def _is_dropped(row: Mapping[str, Any], patience: Patience) -> bool:
    return any(timedelta(0) < drop - row["last_point"] <= timedelta(seconds=row["deadline"]) for drop in patience.drops)


def add_recovered(newest: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Leave out the outages that are recorded (``TOLD``), and add ``recovered``: the last row before a metric's last outage that ended."""
    ended = told.filter(pl.col("status") == RESOLVED).group_by("metric_name").agg(pl.col("metric_timestamp").max().alias("recovered"))
    unknown = newest.join(told, left_on=_ROW, right_on=[*TOLD][:2], how="anti")
    return unknown.join(ended, on="metric_name", how="left")


def find_returned(newest: pl.DataFrame, told: pl.DataFrame, overdue: Sequence[Candidate]) -> pl.DataFrame:
    """Return the recorded outages (``metric_name``, ``metric_timestamp``) of metrics that have newer rows and are not silent again."""
    live = told.filter(pl.col("status") != RESOLVED)
    still = newest.join(live, left_on=_ROW, right_on=[*TOLD][:2], how="semi")["metric_name"].to_list()
    silent = {*still, *(candidate.metric_name for candidate in overdue)}
    back = live.join(newest, on="metric_name").filter(pl.col("last_point") > pl.col("metric_timestamp"))
    return back.filter(~pl.col("metric_name").is_in(silent)).select("metric_name", "metric_timestamp")


def _seconds(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_microseconds() / 1e6


def _put_off(judged: pl.DataFrame, patience: Patience) -> pl.DataFrame:
    """Move each deadline that lies in an ignored period of its metric behind its end, through one period after another."""
    usual = _STEPS * pl.col("usual") + patience.arrival.total_seconds()
    waits = judged.select(pl.min_horizontal("deadline", usual).alias("wait")).to_series()
    for period in sorted(patience.periods, key=lambda period: period.start):
        due = pl.col("last_point") + pl.duration(microseconds=pl.col("deadline") * 1e6)
        is_within = find_covered(judged.select("metric_name", metric_timestamp=due), [period]).is_not_null()
        ended = (pl.lit(period.end.astimezone(UTC)) - pl.col("last_point")).dt.total_microseconds() / 1e6
        judged = judged.with_columns(pl.when(is_within).then(ended + waits).otherwise("deadline").alias("deadline"))
    return judged


def _give_all(names: list[str], deadlines: pl.DataFrame, given: timedelta) -> pl.DataFrame:
    """Give the metrics of which no pause is known the deadline that a person set."""
    known = pl.DataFrame({"metric_name": names}, schema={"metric_name": pl.String}).join(deadlines, on="metric_name", how="left")
    return known.with_columns(pl.col("deadline").fill_null(given.total_seconds()))


def _build(row: Mapping[str, Any], spec: AlertSpec) -> Candidate:
    deadline = timedelta(seconds=row["deadline"])
    last = row["last_point"].astimezone(UTC)
    usual = "" if row["longest"] is None or spec.freshness_max_age else f" (usual pauses: up to {_say(row['longest'])})"
    return Candidate(
        metric_name=row["metric_name"],
        kind=FRESHNESS,
        metric_timestamp=last,
        metric_value=None,
        expected_low=None,
        expected_high=None,
        anomaly_score=None,
        surprise=None,
        reason=f"no row since {render_time(last)}; the next one was due by {render_time((last + deadline).replace(microsecond=0))}{usual}",
        max_age=timedelta(seconds=row["wait"]) + find_max_age(spec.alert_max_age, row["usual"]),
        snooze_from=last - _QUIET * deadline,
        snooze_until=last + _QUIET * deadline,
    )


def _say(seconds: float) -> str:
    return render_duration(timedelta(seconds=seconds))
