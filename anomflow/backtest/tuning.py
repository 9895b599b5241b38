"""Which setting would have given the alerts a week that somebody wants, by what a backtest of the batch scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.backtest.deciding import find_alerts
from anomflow.backtest.rates import find_rate
from anomflow.backtest.summary import sum_up
from anomflow.errors import FrameError
from anomflow.frames import UTC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anomflow.backtest.rates import Rate
    from anomflow.backtest.run import Backtest
    from anomflow.batches import Batch

LEAST_DAYS: Final = 14.0
# From few alerts to many: what is worth writing in a file, not the last digit.
LADDERS: Final[dict[str, tuple[float, ...]]] = {
    "alert_false_alarms_per_month": (
        0.02,
        0.05,
        0.1,
        0.2,
        0.3,
        0.5,
        0.7,
        1.0,
        1.5,
        2.0,
        3.0,
        5.0,
        7.0,
        10.0,
        15.0,
        20.0,
        30.0,
        50.0,
        100.0,
    ),
    "alert_threshold": (0.9999, 0.9995, 0.999, 0.998, 0.995, 0.99, 0.985, 0.98, 0.97, 0.96, 0.95, 0.93, 0.9, 0.87, 0.85, 0.8, 0.75, 0.7),
}
SNOOZES: Final = (2, 5)  # what is told besides: windows so many times as long as the present one
_SHORTEST_SNOOZE: Final = 10
_WEEK_DAYS: Final = 7.0


@dataclass(frozen=True)
class Step:
    """A value of a setting and the alerts a week of the batch that it would have given."""

    value: float
    a_week: Rate


@dataclass(frozen=True)
class Proposal:
    """The setting to change (``key``), its present value and the proposed one, and what was tried on the way.

    ``reached`` is false where even the strictest value gives more alerts than were asked for; ``snoozes`` are what longer
    windows of alert_snooze_n would give with the proposed value.
    """

    key: str
    asked: float
    present: float
    value: float
    steps: tuple[Step, ...]
    reached: bool
    snoozes: tuple[Step, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the lines of YAML that set what is proposed."""
        return (f"{self.key}: {self.value:g}",)

    @property
    def changes(self) -> bool:
        """Tell whether the proposed value is another than the present one."""
        return self.value != self.present


def find_proposal(backtest: Backtest, observations: pl.DataFrame, asked: float) -> Proposal:
    """Return the setting that gives the most alerts a week that are not more than those asked for.

    ``observations`` are the rows that were replayed. The setting is the one that decides: ``alert_threshold`` where the
    batch has one, else ``alert_false_alarms_per_month``. A present value that gives as many alerts as the proposed one stays.

    Raises FrameError where the history is too short to tell.
    """
    weeks = sum_up(backtest).a_week.exposure
    require_weeks(backtest.batch.name, weeks, asked)
    alert = backtest.batch.spec.alert
    key = "alert_false_alarms_per_month" if alert.alert_threshold is None else "alert_threshold"
    present = float(getattr(alert, key))
    steps = tuple(_climb(backtest, observations, (key, weeks, asked)))
    fitting = [step for step in steps if (step.a_week.value or 0.0) <= asked]
    chosen = fitting[-1] if fitting else steps[0]
    now = Step(present, find_rate(count_alerts(backtest, backtest.batch, observations), weeks))
    value = present if now.a_week.count == chosen.a_week.count else chosen.value
    tuned = set_alert(backtest.batch, key, value)
    snoozes = tuple(_try_snoozes(backtest, tuned, observations, weeks))
    return Proposal(key, asked, present, value, steps, bool(fitting), snoozes)


def require_weeks(batch: str, weeks: float, asked: float) -> None:
    """Raise FrameError where so many weeks of scored rows cannot tell the alerts a week that are asked for."""
    days, needed = _WEEK_DAYS * weeks, max(LEAST_DAYS, _WEEK_DAYS / asked)
    if days < needed:
        reason = "" if needed == LEAST_DAYS else f", since {asked:g} a week is one in {needed:.0f} days"
        raise FrameError(
            f"{batch}: {days:.1f} days of scored rows are too few to tell alerts a week; at least {needed:.0f} are needed{reason}. "
            f"Wait for more rows, ingest older ones, or ask for more days (--days)"
        )


def _climb(backtest: Backtest, observations: pl.DataFrame, goal: tuple[str, float, float]) -> Iterator[Step]:
    """Yield the steps of a ladder up to the first that gives too many alerts."""
    key, weeks, asked = goal
    for value in LADDERS[key]:
        step = Step(value, find_rate(count_alerts(backtest, set_alert(backtest.batch, key, value), observations), weeks))
        yield step
        if (step.a_week.value or 0.0) > asked:
            return


def count_alerts(backtest: Backtest, batch: Batch, observations: pl.DataFrame) -> int:
    """Return how many alerts the rows that a backtest scored would have opened in its period by the settings of ``batch``."""
    return find_opened(backtest.scores, backtest, batch, observations).height


def find_opened(scores: pl.DataFrame, backtest: Backtest, batch: Batch, observations: pl.DataFrame) -> pl.DataFrame:
    """Return the alerts (``frames.ALERTS``) that scores would have opened in a backtest's period."""
    rows = observations.filter(pl.col("metric_name").is_not_null(), pl.col("metric_timestamp") <= pl.lit(backtest.until, UTC))
    alerts = find_alerts(scores, rows, batch.spec)[1]
    return alerts.filter(pl.col("metric_timestamp") >= pl.lit(backtest.since, UTC), status="open")


def set_alert(batch: Batch, key: str, value: float) -> Batch:
    """Return a batch with another value of a setting of its alerts."""
    alert = batch.spec.alert.model_copy(update={key: value})
    return replace(batch, spec=batch.spec.model_copy(update={"alert": alert}))


def switch_selection(batch: Batch) -> Batch:
    """Return a batch with the other ``model_selection``."""
    detector = batch.spec.detector
    other = "auto" if detector.model_selection == "fixed" else "fixed"
    return replace(batch, spec=batch.spec.model_copy(update={"detector": detector.model_copy(update={"model_selection": other})}))


def _try_snoozes(backtest: Backtest, batch: Batch, observations: pl.DataFrame, weeks: float) -> Iterator[Step]:
    present = batch.spec.alert.alert_snooze_n
    for rows in (times * max(present, _SHORTEST_SNOOZE) for times in SNOOZES):
        scores = widen_snooze(backtest.scores, rows)
        yield Step(rows, find_rate(find_opened(scores, backtest, batch, observations).height, weeks))


def widen_snooze(scores: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Return scores (by name and time) with the windows of a snooze of so many rows."""
    time = pl.col("metric_timestamp")
    return scores.with_columns(
        snooze_from=time.shift(rows).over("metric_name"),
        snooze_until=time.shift(-rows).over("metric_name"),
    )


@dataclass(frozen=True)
class Loud:
    """A metric that alerts, how often, as what, and what its most surprising alert says."""

    metric_name: str
    alerts: int
    kinds: tuple[str, ...]
    reason: str


def find_loudest(backtest: Backtest, limit: int) -> Sequence[Loud]:
    """Return the metrics with the most alerts of a backtest, ``limit`` at most."""
    ranked = backtest.opened.sort("surprise", "metric_timestamp", descending=[True, False], nulls_last=True)
    counted = (
        ranked.group_by("metric_name", maintain_order=True)
        .agg(alerts=pl.len(), kinds=pl.col("kind").unique().sort(), reason=pl.col("reason").first())
        .sort("alerts", "metric_name", descending=[True, False])
        .head(limit)
    )
    return [Loud(row["metric_name"], row["alerts"], tuple(row["kinds"]), row["reason"]) for row in counted.iter_rows(named=True)]
