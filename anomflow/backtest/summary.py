"""A backtest in numbers, and two of them side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.backtest.deciding import KEY
from anomflow.backtest.rates import Rate, find_rate
from anomflow.backtest.trials import sum_up_trials
from anomflow.decisions.candidate import ANOMALY
from anomflow.frames import HISTORY, UTC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from anomflow.backtest.run import Backtest

WEEK: Final = timedelta(days=7)
MONTH: Final = timedelta(days=30)
BEFORE: Final = 24  # rows of a sparkline, and those after its alert
AFTER: Final = 8


@dataclass(frozen=True, eq=False)
class Summary:
    """What a backtest says: how much was judged, how often it alerted, what it would have found.

    ``a_week`` counts all alerts of the batch, ``a_metric_month`` the anomalies that a metric raised in 30 days, which
    ``asked`` is the wanted number of false ones of (None: a fixed threshold decides).
    """

    metrics: int
    rows: int
    scored: int
    snoozed: int
    a_week: Rate
    a_metric_month: Rate
    asked: float | None
    trials: pl.DataFrame


def sum_up(backtest: Backtest) -> Summary:
    """Return the numbers of a backtest; rates are over the time from the first scored row of the period to the last."""
    scored = backtest.scores.filter(pl.col("anomaly_score").is_not_null())
    period = scored.filter(pl.col("metric_timestamp") >= pl.lit(backtest.since, UTC))
    time = pl.col("metric_timestamp")
    spans = period.group_by("metric_name").agg(span=time.max() - time.min())["span"]
    whole = period.select(span=time.max() - time.min())["span"]
    alert = backtest.batch.spec.alert
    opened = backtest.opened
    return Summary(
        metrics=backtest.metrics.height,
        rows=backtest.scores.height,
        scored=scored.height,
        snoozed=backtest.alerts.height - opened.height,
        a_week=find_rate(opened.height, _count(whole, WEEK)),
        a_metric_month=find_rate(opened.filter(kind=ANOMALY).height, _count(spans, MONTH)),
        asked=alert.alert_false_alarms_per_month if alert.alert_threshold is None else None,
        trials=sum_up_trials(backtest.trials),
    )


def _count(spans: pl.Series, unit: timedelta) -> float:
    return float(spans.dt.total_seconds(fractional=True).sum()) / unit.total_seconds()


@dataclass(frozen=True, eq=False)
class Comparison:
    """The open alerts that only the proposed settings raise, those that only the present ones do, those of both."""

    appear: pl.DataFrame
    go: pl.DataFrame
    stay: pl.DataFrame


def compare(present: Backtest, proposed: Backtest) -> Comparison:
    """Compare the alerts of two backtests of the same rows, by metric, kind and time."""
    before, after = present.opened, proposed.opened
    return Comparison(
        appear=after.join(before, on=KEY, how="anti", maintain_order="left"),
        go=before.join(after, on=KEY, how="anti", maintain_order="left"),
        stay=after.join(before, on=KEY, how="semi", maintain_order="left"),
    )


def find_course(scores: pl.DataFrame, metric: str, moment: datetime) -> Sequence[float | None]:
    """Return the values of a metric around a moment: 24 up to it and 8 after it; null where a value is missing."""
    rows = scores.filter(metric_name=metric)
    earlier = rows.filter(pl.col("metric_timestamp") <= moment)["metric_value"].tail(BEFORE)
    later = rows.filter(pl.col("metric_timestamp") > moment)["metric_value"].head(AFTER)
    return [*earlier, *later]


def build_histories(backtest: Backtest, limit: int) -> dict[str, pl.DataFrame]:
    """Return what charts show (``frames.HISTORY``) of the metrics with the most alerts, ``limit`` at most."""
    marks = backtest.opened.group_by("metric_name", "metric_timestamp").agg(alert=pl.col("kind").first())
    counts = backtest.opened.group_by("metric_name").agg(alerts=pl.len())
    ranked = backtest.metrics.join(counts, on="metric_name", how="left").with_columns(pl.col("alerts").fill_null(0))
    names = ranked.sort("alerts", "metric_name", descending=[True, False])["metric_name"].head(limit)
    shown = backtest.scores.filter(pl.col("metric_timestamp") >= pl.lit(backtest.since, UTC))
    joined = shown.join(marks, on=["metric_name", "metric_timestamp"], how="left", maintain_order="left")
    return {name: joined.filter(metric_name=name).select(pl.col(column).cast(kind) for column, kind in HISTORY.items()) for name in names}
