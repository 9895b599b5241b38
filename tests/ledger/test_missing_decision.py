"""Which gaps in a metric's rows are worth an alert, and which are usual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from anomflow.decisions.freshness import Patience
from anomflow.decisions.missing import find_filled, find_lossy, find_missing
from anomflow.periods import Period
from anomflow.sections.alerts import AlertSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomflow.decisions.candidate import Candidate

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEKS = 4 * 7 * 24  # hours
UTC_TIME = pl.Datetime("us", "UTC")
NOTHING = pl.DataFrame(
    schema={"metric_name": pl.String, "metric_timestamp": UTC_TIME, "detected_at": UTC_TIME, "status": pl.String},
)


def gaps_of(hours: Any, name: str = "m", step: timedelta = HOUR) -> pl.DataFrame:
    """Return what the query `gaps` returns of rows at these multiples of a step."""
    times = [START + step * float(hour) for hour in hours]
    rows = pl.DataFrame(
        {"previous_timestamp": times[:-1], "metric_timestamp": times[1:]},
        schema_overrides=dict.fromkeys(("previous_timestamp", "metric_timestamp"), UTC_TIME),
    )
    pause = (pl.col("metric_timestamp") - pl.col("previous_timestamp")).dt.total_seconds()
    lengths = rows.with_columns(pl.lit(name).alias("metric_name"), pause.alias("pause"))
    usual = lengths["pause"].mode().min()
    regular = lengths.filter(pl.col("pause") == usual).height
    columns = {"step": usual, "regular": regular, "pauses": lengths.height}
    kept = lengths.filter(2 * pl.col("pause") >= 3 * usual, pl.lit(2 * regular >= lengths.height))
    return kept.with_columns(*(pl.lit(value).alias(key) for key, value in columns.items()), pl.lit(times[0], UTC_TIME).alias("first_point"))


def without(*hours: int, until: int = WEEKS) -> list[int]:
    return [hour for hour in range(until) if hour not in hours]


def find(hours: Sequence[Any], *, wait: timedelta = 3 * HOUR, step: timedelta = HOUR, **settings: Any) -> tuple[Candidate, ...]:
    """Judge a metric some time after its last row, where rows take two hours to come in."""
    as_of = START + step * float(hours[-1]) + wait
    return find_missing(gaps_of(hours, step=step), NOTHING, AlertSpec(**settings), Patience(as_of, 2 * HOUR))


@pytest.mark.parametrize("step", [timedelta(minutes=1), HOUR, DAY])
def test_a_gap_of_a_regular_metric_is_one_alert_at_the_row_after_it(step: timedelta) -> None:
    count = round(timedelta(weeks=5) / step)
    hours = without(*range(count - 6, count - 3), until=count)
    (found,) = find(hours, step=step)
    assert found.metric_timestamp == START + (count - 3) * step
    assert found.reason.startswith("3 rows are missing between ")


@pytest.mark.parametrize(
    ("settings", "count"), [({"missing_min_rows": 2}, 0), ({"missing_min_rows": 1}, 1), ({"missing_grace": 6 * HOUR}, 0)]
)
def test_how_many_rows_and_how_long_is_waited_can_be_set(settings: dict[str, Any], count: int) -> None:
    assert len(find(without(WEEKS - 3), **settings)) == count


def test_rows_that_may_still_come_in_are_waited_for() -> None:
    assert find(without(WEEKS - 2), wait=1.9 * HOUR) == ()
    assert len(find(without(WEEKS - 2), wait=2 * HOUR)) == 1


def test_nights_and_weekends_are_no_gaps() -> None:
    night = [hour for hour in range(WEEKS) if 8 <= hour % 24 < 18]
    weekend = [hour for hour in range(WEEKS) if hour // 24 % 7 < 5]
    ends = [hour for hour in weekend if hour // 24 % 7 == 0][2:]
    assert find(night) == ()
    assert [find([hour for hour in weekend if hour <= end]) for end in ends] == [()] * len(ends)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_metrics_that_lose_rows_all_the_time_are_rarely_told(share: float) -> None:
    kept = [np.flatnonzero(np.random.default_rng(seed).random(6 * 7 * 24) >= share) for seed in range(20)]
    assert sum(len(find(hours)) for hours in kept) <= 1


def test_times_that_are_not_regular_have_no_gaps() -> None:
    times = np.cumsum(np.random.default_rng(1).exponential(1.0, 900))
    assert find(list(times)) == ()
    assert find_lossy(gaps_of(times), NOTHING, AlertSpec()) == []


def test_a_clock_that_is_put_forward_is_no_gap() -> None:
    days = [float(day) if day < 30 else day - 1 / 24 for day in range(40)]
    assert find(days, step=DAY) == ()


def test_a_metric_that_is_known_for_less_than_two_weeks_is_not_judged() -> None:
    assert find(without(299, until=301)) == ()


def test_the_outage_that_freshness_told_is_not_told_again() -> None:
    hours = without(*range(WEEKS - 10, WEEKS - 3))
    as_of = START + (WEEKS + 3) * HOUR

    def judge(last: int, detected: int) -> int:
        row = {
            "metric_name": ["m"],
            "metric_timestamp": [START + last * HOUR],
            "detected_at": [START + detected * HOUR],
            "status": ["open"],
        }
        return len(find_missing(gaps_of(hours), pl.DataFrame(row, schema=NOTHING.schema), AlertSpec(), Patience(as_of)))

    assert judge(WEEKS - 11, WEEKS - 6) == 0
    assert judge(WEEKS - 13, WEEKS - 6) == 0  # some of its rows were filled in
    assert judge(WEEKS - 40, WEEKS - 35) == 1


def test_a_gap_is_filled_when_no_pause_ends_at_its_row() -> None:
    rows = {"metric_name": ["m"] * 2, "metric_timestamp": [START + hour * HOUR for hour in (WEEKS - 3, WEEKS - 9)]}
    told = pl.DataFrame({**rows, "detected_at": [START] * 2, "status": ["open", "late"]}, schema=NOTHING.schema)
    filled = find_filled(gaps_of(without(WEEKS - 4)), told, START + WEEKS * HOUR)
    assert filled["metric_timestamp"].to_list() == [START + (WEEKS - 9) * HOUR]


def test_metrics_that_may_not_alert_have_no_gaps() -> None:
    gaps = gaps_of(without(WEEKS - 3))
    for spec in (AlertSpec(alert_exclude_metrics=("m",)), AlertSpec(disable_missing=True)):
        assert find_lossy(gaps, NOTHING, spec) == []
    assert find_lossy(gaps, NOTHING, AlertSpec()) == ["m"]


@pytest.mark.parametrize(("metrics", "count"), [("*", 0), ("m", 0), ("other", 1)])
def test_a_gap_in_an_ignored_period_is_not_told(metrics: str, count: int) -> None:
    hours = without(WEEKS - 3)
    period = Period(metrics, START + (WEEKS - 3) * HOUR, START + (WEEKS - 2) * HOUR, "planned")
    patience = Patience(START + HOUR * (hours[-1] + 3), 2 * HOUR, (period,))
    assert len(find_missing(gaps_of(hours), NOTHING, AlertSpec(), patience)) == count
