"""What is a change: the decision on arrays, against PyOD and against series without any."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pyod.models.mad import MAD

from anomflow.decisions.change import Window, find_changes_of_level, find_firsts
from anomflow.decisions.shift import find_threshold, measure_shift
from anomflow.sections.alerts import ChangeSpec
from anomflow.series import SeriesBatch

HOUR = 3600.0
DAY = 24 * HOUR
ALL = Window(datetime(1970, 1, 1, tzinfo=UTC))


def batch(values: Any, step: float = HOUR) -> SeriesBatch:
    return SeriesBatch(("m",), np.array([0, len(values)]), np.arange(len(values), dtype=np.float64) * step, np.asarray(values, float))


def changes(values: Any, step: float = HOUR, **settings: Any) -> list[int]:
    _, found = find_changes_of_level(batch(values, step), ChangeSpec(**settings), ALL)
    return [round(candidate.metric_timestamp.timestamp() / step) for candidate in found]


def noise(count: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=count)


@pytest.mark.parametrize(("step", "count"), [(300.0, 4000), (HOUR, 2160), (DAY, 250), (7 * DAY, 100)])
@pytest.mark.parametrize("size", [10, -10])
def test_a_step_of_ten_deviations_is_found_within_ten_rows_and_once(step: float, count: int, size: float) -> None:
    values = noise(count)
    values[-40:] += size
    (row,) = changes(values, step)
    assert count - 40 <= row < count - 30


def test_a_spike_and_two_rows_are_no_change_and_three_are() -> None:
    for rows, expected in ((1, 0), (2, 0), (3, 1)):
        values = noise(1000)
        values[900 : 900 + rows] += 30
        assert len(changes(values)) == expected


@pytest.mark.parametrize("step", [300.0, HOUR, DAY])
def test_series_without_a_change_stay_within_the_asked_rate(step: float) -> None:
    count = {300.0: 4000, HOUR: 2160, DAY: 250}[step]
    time = step * np.arange(count)
    weekend = (time // DAY) % 7 >= 5
    alarms = 0
    for seed in range(15):
        for season in (0, 10 * np.sin(2 * np.pi * time / DAY), np.where(weekend, -30.0, 0.0)):
            alarms += len(changes(noise(count, seed) + season, step))
    assert alarms <= 0.5 * 45 * count * step / (30 * DAY)


def test_a_constant_metric_that_is_set_to_another_value_changes_once() -> None:
    assert changes([5.0] * 300 + [6.0] * 300) == [302]
    assert changes([5.0] * 600) == []


def test_a_change_names_the_levels_before_and_after_at_the_same_time_of_day() -> None:
    values = noise(1000) + 100 + 20 * np.sin(2 * np.pi * np.arange(1000) / 24)
    values[900:] += 50
    _, (found,) = find_changes_of_level(batch(values), ChangeSpec(), ALL)
    row = round(found.metric_timestamp.timestamp() / HOUR)
    usual = 100 + 20 * np.sin(2 * np.pi * (row - 2) / 24)
    assert found.metric_value == pytest.approx(usual + 50, abs=6)
    assert (found.expected_low or 0) < usual < (found.expected_high or 0) < (found.metric_value or 0)
    assert found.reason.startswith("the level changed from ")


def test_later_rows_move_no_change() -> None:
    values = noise(1000)
    values[800:] += 12
    first = changes(values[:820])
    assert changes(values) == first == changes(values[:900])


def test_a_change_shows_in_as_many_rows_as_asked_for() -> None:
    values = noise(1000)
    values[900:] += 30
    assert [changes(values, change_detect_last_n=rows)[0] for rows in (1, 3, 5)] == [900, 902, 904]


def test_mad_is_that_of_pyod() -> None:
    values = noise(400)
    spec = ChangeSpec(change_method="mad", change_detect_last_n=1)
    ratio = measure_shift(np.arange(400, dtype=np.float64) * HOUR, values, spec).ratio
    detector = MAD(threshold=3.5).fit(values[:-1].reshape(-1, 1))
    assert abs(ratio[-1]) * 3.5 == pytest.approx(detector.decision_function(values[-1:].reshape(-1, 1))[0])


def test_mad_finds_what_is_far_from_all_rows_before() -> None:
    values = noise(400)
    values[390:] += 10
    found = changes(values, change_method="mad")
    assert found[-1] == 392
    assert changes(values, change_method="mad", change_threshold=100) == []


def test_few_rows_and_odd_ones_say_nothing() -> None:
    for values in ([], [1.0], [1.0, 2.0], list(range(20)), [1e308, -1e308] * 60):
        assert changes(values) == []


def test_the_same_change_goes_on_until_rows_are_quiet() -> None:
    shown = np.zeros(100, bool)
    shown[[10, 11, 14, 40]] = True
    assert find_firsts(shown, 16).tolist() == [10, 40]


def test_more_false_alarms_asked_for_is_a_lower_threshold() -> None:
    assert find_threshold(HOUR, 8) < find_threshold(HOUR, 0.5) < find_threshold(60, 0.5)
