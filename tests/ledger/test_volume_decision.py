"""When a batch brings too few metrics, and when few are usual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from anomflow.decisions.freshness import Patience
from anomflow.decisions.volume import ALL_METRICS, Drop, build_volume, find_drop
from anomflow.periods import Period
from anomflow.sections.alerts import AlertSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ROWS = 24 * 28
GRACE = 2 * HOUR


def find(counts: Any, *, step: timedelta = HOUR, wait: timedelta = GRACE, **settings: Any) -> Drop | None:
    """Judge a batch some time after its last timestamp; rows take two hours to come in."""
    rows = {"metric_timestamp": [START + step * place for place in range(len(counts))], "metrics": [int(count) for count in counts]}
    arrivals = pl.DataFrame(rows, schema={"metric_timestamp": pl.Datetime("us", "UTC"), "metrics": pl.Int64})
    return find_drop(arrivals, AlertSpec(**settings), Patience(START + step * (len(counts) - 1) + wait, GRACE))


def usual(*last: int, rows: int = ROWS) -> list[int]:
    return [12] * (rows - len(last)) + list(last)


@pytest.mark.parametrize("step", [timedelta(minutes=10), HOUR, DAY])
def test_half_of_the_metrics_is_not_few_and_less_is(step: timedelta) -> None:
    rows = round(28 * DAY / step)
    assert find(usual(6, 6, rows=rows), step=step) is None
    drop = find(usual(5, 0, 3, rows=rows), step=step)
    assert drop is not None
    assert (drop.start, drop.count, drop.usual, drop.step) == (START + (rows - 3) * step, 5, 12, step)


@pytest.mark.parametrize(
    ("counts", "settings", "is_told"),
    [
        pytest.param(usual(8), {"volume_min_share": 0.7}, True, id="another share"),
        pytest.param(usual(5), {"volume_grace": 3 * HOUR}, False, id="rows that may still come in"),
        pytest.param(usual(5, 12), {}, False, id="a drop that is over"),
        pytest.param([3] * ROWS + [1], {}, False, id="a batch of three metrics"),
        pytest.param(usual(5, rows=24 * 5), {}, False, id="a batch known for days only"),
        pytest.param([12] * 24 * 26 + [5] * 24 * 2, {}, True, id="a drop of two days"),
        pytest.param([12] * 24 * 20 + [5] * 24 * 15, {}, False, id="a new usual"),
        pytest.param([12, *[4] * 3, *[12] * 8] * 56 + [12, 4], {}, False, id="hours with few metrics"),
        pytest.param(([12] * 24 * 5 + [5] * 48) * 5, {}, False, id="weekends"),
        pytest.param([12] * 300 + [2] * 5 + [12] * 367 + [5], {}, True, id="one incident of the past teaches nothing"),
    ],
)
def test_few_is_told_by_what_was_usual(counts: list[int], settings: dict[str, Any], is_told: bool) -> None:
    assert (find(counts, **settings) is not None) is is_told


@pytest.mark.parametrize("mean", [6, 12, 30, 200])
def test_counts_that_vary_by_chance_are_rarely_few(mean: int) -> None:
    drawn = [np.random.default_rng(seed).poisson(mean, ROWS) for seed in range(10)]
    found = {
        (seed, drop.start)
        for seed, counts in enumerate(drawn)
        for end in range(24 * 14, ROWS, 1)
        if counts[end - 1] < mean / 2
        for drop in [find(counts[:end])]
        if drop
    }
    assert len(found) <= 2  # of 10 batches in two weeks


def test_nothing_is_no_drop() -> None:
    assert find([]) is None


def test_the_alert_names_what_did_not_come_as_far_as_it_may_alert() -> None:
    drop = Drop(START, 1, 12, START - HOUR, HOUR)
    names = [f"m{number}" for number in range(9)]
    found = build_volume(drop, (names, ["m3"]), AlertSpec(alert_exclude_metrics=("m0",)), Patience(START))
    assert found is not None
    assert (found.metric_name, found.metric_value, found.expected_low) == (ALL_METRICS, 1.0, 12.0)
    assert found.reason == "not there since 2026-01-01 00:00 UTC: m1, m2, m4, m5, m6 and 2 more"
    assert build_volume(drop, (names, ["m3"]), AlertSpec(alert_include_metrics=("m3",)), Patience(START)) is None


def test_metrics_in_an_ignored_period_are_not_missed() -> None:
    drop = Drop(START, 1, 12, START - HOUR, HOUR)
    planned = Period("m*", START - HOUR, START + HOUR, "planned")
    names = (["m1", "m2", "other"], ["m3"])
    told = [
        build_volume(drop, names, AlertSpec(), Patience(START, periods=periods))
        for periods in ((planned,), (planned, Period("*", START, START + HOUR, "x")))
    ]
    assert [found and found.reason for found in told] == ["not there since 2026-01-01 00:00 UTC: other", None]
