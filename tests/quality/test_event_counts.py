"""Events, notifications and intervals, against tables worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.events import Count, count_alerts, find_events, poisson_interval, sweep, thin

# Rows 20 to 24 and 60 are anomalous, rows 80 to 89 are not evaluated.
LABELS = np.zeros(100, np.uint8)
LABELS[[20, 21, 22, 23, 24, 60]] = 1
LABELS[80:90] = 2


def rows(*given: int) -> np.ndarray:
    return np.array(given, np.int64)


@pytest.mark.parametrize(
    ("told", "reached", "expected"),
    [
        (rows(), rows(), Count(2, 0, 0)),
        (rows(22), rows(22), Count(2, 1, 0)),
        (rows(27), rows(27), Count(2, 1, 0)),
        (rows(28), rows(28), Count(2, 0, 1)),
        (rows(19), rows(19), Count(2, 0, 1)),
        (rows(19), rows(19, 20), Count(2, 1, 1)),  # snoozed, but told a row before
        (rows(5), rows(5, 20), Count(2, 0, 1)),  # suppressed for another reason: nobody heard of it
        (rows(21, 60), rows(21, 22, 23, 60, 61), Count(2, 2, 0)),
        (rows(85), rows(85), Count(2, 0, 0)),
        (rows(1, 40, 95), rows(1, 40, 95), Count(2, 0, 3)),
    ],
    ids=["silence", "inside", "tolerance", "behind it", "before", "heard before", "unheard", "both", "ignored", "false"],
)
def test_notifications_find_events_or_are_false(told: np.ndarray, reached: np.ndarray, expected: Count) -> None:
    assert count_alerts(find_events(LABELS), told, reached) == expected


def test_precision_recall_and_f1_are_those_of_events() -> None:
    count = Count(events=4, found=3, false=1)
    assert (count.precision, count.recall, count.f1) == (0.75, 0.75, 0.75)
    assert (Count().precision, Count().recall, Count().f1) == (0, 0, 0)


def test_a_threshold_serves_all_series_and_each_is_snoozed_by_itself() -> None:
    scores = np.zeros(100)
    scores[[20, 40, 45, 60]] = [3, 2, 2, 1]
    counts = dict(sweep([(find_events(LABELS), scores), (find_events(np.zeros(100, np.uint8)), scores)]))
    assert counts[3.0] == Count(2, 1, 1)
    assert counts[2.0] == Count(2, 1, 3)
    assert counts[1.0] == Count(2, 2, 4)


@pytest.mark.parametrize(("given", "left"), [([], []), ([3], [3]), ([3, 4, 12, 13, 14], [3, 13]), ([0, 9, 10, 19, 20], [0, 10, 20])])
def test_a_notification_silences_the_rows_behind_it(given: list[int], left: list[int]) -> None:
    assert thin(rows(*given), 10).tolist() == left


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_an_interval_is_the_exact_one_of_the_tables(count: int, low: float, high: float) -> None:
    assert poisson_interval(count, 1.0) == pytest.approx((low, high), rel=1e-3)
    assert poisson_interval(count, 2.0) == pytest.approx((low / 2, high / 2), rel=1e-3)


def test_without_time_a_rate_may_be_anything() -> None:
    assert poisson_interval(0, 0.0) == (0.0, float("inf"))
