"""When a metric is overdue: what is learned from its pauses, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from anomflow.decisions.freshness import MEMORY, Patience, find_overdue, find_suspects, learn_deadlines
from anomflow.sections.alerts import AlertSpec

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY


def cadence(seconds: Any, name: str = "m") -> pl.DataFrame:
    """Return what the query `cadence` returns of rows at these times."""
    seconds = np.asarray(seconds)
    rows = pl.DataFrame({"week": (seconds[-1] - seconds[1:]) // WEEK, "pause": np.diff(seconds)})
    weeks = rows.group_by("week").agg(
        pl.len().cast(pl.Float64).alias("pauses"), pl.col("pause").sum().alias("total"), pl.col("pause").max().alias("longest")
    )
    return weeks.with_columns(pl.lit(name).alias("metric_name"))


def newest(age: timedelta, name: str = "m") -> pl.DataFrame:
    return pl.DataFrame({"metric_name": [name], "last_point": [NOW - age]}, schema_overrides={"last_point": pl.Datetime("us", "UTC")})


def deadline(seconds: Any) -> float:
    found = learn_deadlines(cadence(seconds), AlertSpec(), Patience(NOW))["deadline"].item()
    return float("nan") if found is None else float(found)


@pytest.mark.parametrize("step", [60.0, HOUR, DAY])
def test_a_regular_metric_is_overdue_after_three_steps_and_a_quarter(step: float) -> None:
    assert deadline(np.arange(0, 4 * WEEK, step)) == pytest.approx(3.25 * step)


def test_one_outage_of_the_past_teaches_nothing_and_two_do() -> None:
    regular = np.arange(0, 5 * WEEK, HOUR)
    once = regular[(regular < WEEK) | (regular > WEEK + 30 * HOUR)]
    twice = once[(once < 3 * WEEK) | (once > 3 * WEEK + 20 * HOUR)]
    assert deadline(once) < 4 * HOUR
    assert deadline(twice) > 20 * HOUR


def test_a_metric_known_for_less_than_a_week_may_pause_three_days_and_one_of_few_rows_for_ever() -> None:
    assert deadline(np.arange(0, 2 * DAY, HOUR)) == 3 * DAY
    assert np.isnan(deadline(HOUR * np.arange(10.0)))


@pytest.mark.parametrize("mean", [0.2 * HOUR, 3 * HOUR, 20 * HOUR])
def test_an_irregular_metric_is_rarely_taken_for_overdue(mean: float) -> None:
    false, weeks = 0, 0
    for seed in range(20):
        times = np.cumsum(np.random.default_rng(seed).exponential(mean, round(30 * WEEK / mean)))
        for end in np.arange(6 * WEEK, times[-1] - WEEK, WEEK):
            past = times[(times <= end) & (times > end - MEMORY.total_seconds())]
            following = times[(times >= past[-1]) & (times <= end + WEEK)]
            false += int((np.diff(following) > deadline(past)).sum())
            weeks += 1
    assert false / weeks * 30 / 7 < 0.5


@pytest.mark.parametrize(("age", "overdue"), [(3.2, 0), (3.3, 1)])
def test_a_metric_is_overdue_from_its_deadline_on(age: float, overdue: int) -> None:
    rows = cadence(np.arange(0, 4 * WEEK, HOUR))
    found = find_overdue(newest(timedelta(hours=age)), rows, AlertSpec(), Patience(NOW))
    assert len(found) == overdue


def test_how_long_rows_take_to_come_in_is_waited_for() -> None:
    rows, patience = cadence(np.arange(0, 4 * WEEK, HOUR)), Patience(NOW, timedelta(hours=1))
    assert find_overdue(newest(timedelta(hours=4)), rows, AlertSpec(), patience) == ()
    assert find_suspects(newest(timedelta(minutes=59)), AlertSpec(), patience) == []


def test_the_age_of_an_outage_counts_from_its_deadline() -> None:
    age = timedelta(days=4)
    (found,) = find_overdue(newest(age), cadence(np.arange(0, 6 * WEEK, DAY)), AlertSpec(alert_max_age=timedelta(days=1)), Patience(NOW))
    assert found.max_age > age
    assert found.metric_timestamp == NOW - age


def test_a_given_age_holds_for_every_metric_that_may_alert() -> None:
    spec = AlertSpec(freshness_max_age=timedelta(hours=1), alert_exclude_metrics=("b",))
    rows = pl.concat([newest(timedelta(hours=2), name) for name in ("a", "b")] + [newest(timedelta(minutes=59), "c")])
    found = find_overdue(rows, cadence(np.arange(0, 4 * WEEK, DAY), "a"), spec, Patience(NOW))
    assert [candidate.metric_name for candidate in found] == ["a"]
