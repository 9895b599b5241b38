"""Volume: a batch that brings fewer metrics than it used to, told once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.decisions.candidate import VOLUME, Candidate, find_max_age
from anomflow.decisions.names import is_selected
from anomflow.ledger.states import RESOLVED
from anomflow.periods import drop_covered
from anomflow.wording import clean_text, render_time

if TYPE_CHECKING:
    from collections.abc import Collection

    from anomflow.decisions.freshness import Patience
    from anomflow.sections.alerts import AlertSpec

# Under what name the alerts of a whole batch are recorded, and how far back timestamps are counted.
ALL_METRICS: Final = "all metrics"
COUNTED: Final = timedelta(days=36)

_LOOK: Final = timedelta(days=8)  # how far back the beginning of a drop is looked for
_PAST: Final = (timedelta(days=28), timedelta(days=7))  # before a day: what it is compared with, so that a drop of a week changes nothing
_DAYS: Final = 6  # of the past below which nothing is known
_MANY_DAYS: Final = 14  # from which one day is taken for an incident
_ROWS: Final = 12  # timestamps of the past below which nothing is known
_FEWEST: Final = 4  # metrics: of fewer, each is told on its own
_SHOWN: Final = 5


@dataclass(frozen=True)
class Drop:
    """A batch that brings few metrics now: since when, how many came then, how few came at least before, the last good timestamp."""

    start: datetime
    count: int
    usual: int
    before: datetime
    step: timedelta


def find_drop(arrivals: pl.DataFrame, spec: AlertSpec, patience: Patience) -> Drop | None:
    """Return the drop that lasts up to the newest timestamp whose rows had time to come in; None where there is none.

    ``arrivals`` has a row for each timestamp: ``metric_timestamp`` (ascending), ``metrics`` (how many). A timestamp is low
    when it has less than ``volume_min_share`` of the fewest metrics that the days of 7 to 28 days before had; of two weeks
    or more the day with the very fewest does not count.
    """
    grace = spec.volume_grace or patience.arrival
    due = arrivals.filter(pl.col("metric_timestamp") <= patience.as_of - grace)
    usual = due.with_columns(pl.col("metric_timestamp").dt.truncate("1d").alias("day")).join(_find_usual(due), on="day", how="left")
    recent = usual.filter(pl.col("metric_timestamp") > patience.as_of - _LOOK)
    is_low = (recent["metrics"] < spec.volume_min_share * recent["usual"]).fill_null(value=False)
    good = is_low.not_().arg_true()
    if good.is_empty() or good[-1] == recent.height - 1:
        return None
    before, first = recent.row(good[-1], named=True), recent.row(good[-1] + 1, named=True)
    steps = recent["metric_timestamp"].diff().dt.total_microseconds().drop_nulls().to_list()
    step = timedelta(microseconds=median(steps))
    return Drop(first["metric_timestamp"], first["metrics"], first["usual"], before["metric_timestamp"], step)


def _find_usual(arrivals: pl.DataFrame) -> pl.DataFrame:
    """Return for each ``day`` how few metrics the timestamps before had (``usual``), where enough is known."""
    days = arrivals.group_by(pl.col("metric_timestamp").dt.truncate("1d").alias("day")).agg(
        pl.col("metrics").min().alias("fewest"), pl.len().alias("rows")
    )
    past = days.select(pl.col("day").alias("earlier"), "fewest", "rows")
    age = pl.col("day") - pl.col("earlier")
    pairs = days.select("day").join(past, how="cross").filter(age <= _PAST[0], age > _PAST[1])
    lowest = pl.col("fewest").bottom_k(2)
    of_day = pairs.group_by("day").agg(
        pl.when(pl.len() >= _MANY_DAYS).then(lowest.max()).otherwise(lowest.min()).alias("usual"),
        pl.len().alias("days"),
        pl.col("rows").sum(),
    )
    is_known = (pl.col("days") >= _DAYS) & (pl.col("rows") >= _ROWS) & (pl.col("usual") >= _FEWEST)
    return of_day.filter(is_known).select("day", "usual")


def build_volume(drop: Drop, names: tuple[Collection[str], Collection[str]], spec: AlertSpec, patience: Patience) -> Candidate | None:
    """Return the candidate of a drop; ``names`` are the metrics of the last good timestamp and of the first low one.

    None where all that did not come may not alert, or is in an ignored period.
    """
    missed = pl.DataFrame({"metric_name": sorted(set(names[0]) - set(names[1]))}, schema={"metric_name": pl.String})
    expected = drop_covered(missed.with_columns(metric_timestamp=pl.lit(drop.start)), patience.periods)["metric_name"]
    gone = [name for name in expected if is_selected(name, spec.alert_include_metrics, spec.alert_exclude_metrics)]
    if not gone:
        return None
    more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
    shown = ", ".join(clean_text(name, 60) for name in gone[:_SHOWN]) + more
    start, reach = drop.start.astimezone(UTC), max(1, spec.alert_snooze_n) * drop.step
    return Candidate(
        metric_name=ALL_METRICS,
        kind=VOLUME,
        metric_timestamp=start,
        metric_value=float(drop.count),
        expected_low=float(drop.usual),
        expected_high=None,
        anomaly_score=None,
        surprise=None,
        reason=f"not there since {render_time(start)}: {shown}",
        max_age=(spec.volume_grace or patience.arrival) + find_max_age(spec.alert_max_age, drop.step.total_seconds()),
        snooze_from=start - reach,
        snooze_until=start + reach,
    )


def find_ended(told: pl.DataFrame, arrivals: pl.DataFrame, drop: Drop | None) -> pl.DataFrame:
    """Return the recorded drops (``metric_name``, ``metric_timestamp``) after which more metrics came again, or that were filled in."""
    live = told.filter(pl.col("status") != RESOLVED)
    if drop is not None:
        live = live.filter(pl.col("metric_timestamp") < drop.before)
    newest = arrivals["metric_timestamp"].max()
    return live.filter(pl.lit(newest) >= pl.col("metric_timestamp")).select("metric_name", "metric_timestamp")
