"""What the default detector finds, and what it says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from anomflow.calibration import threshold

if TYPE_CHECKING:
    from anomflow.detectors import Detector


def noise(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).normal(size=rows)


def times(rows: int, step: float = 300.0) -> np.ndarray:
    return 1_704_067_200.0 + np.arange(rows) * step


@pytest.mark.parametrize(("step", "rows"), [(60.0, 3000), (300.0, 3000), (3600.0, 1500), (86_400.0, 400)])
def test_a_spike_exceeds_the_default_threshold_and_is_the_highest(detector: Detector, step: float, rows: int) -> None:
    values = noise(rows)
    values[rows * 2 // 3] += 12
    replay, _ = detector.advance(None, times(rows, step), values)
    assert np.nanargmax(replay.anomaly) == rows * 2 // 3
    assert replay.anomaly[rows * 2 // 3] > threshold(step, 2.0)


def test_a_metric_gets_no_score_from_its_first_twenty_rows(detector: Detector) -> None:
    replay, _ = detector.advance(None, times(30), noise(30))
    assert np.isnan(replay.anomaly[:20]).all()
    assert np.isfinite(replay.anomaly[20:]).all()
    assert np.isnan(replay.step_seconds[:20]).all()
    assert (replay.step_seconds[20:] == 300).all()


@pytest.mark.parametrize("value", [0.0, -7.25, 1e308, -1e308, 5e-324])
def test_a_constant_metric_is_never_surprising(detector: Detector, value: Any) -> None:
    replay, _ = detector.advance(None, times(2000), np.full(2000, value))
    assert (replay.anomaly[20:] < threshold(300.0, 2.0)).all()
    assert (replay.flat_rows == 0).all()


def test_a_change_of_a_constant_metric_is_surprising(detector: Detector) -> None:
    values = np.full(2000, 5.0)
    values[1500:] = 6.0
    replay, _ = detector.advance(None, times(2000), values)
    assert replay.anomaly[1500] > threshold(300.0, 2.0)


@pytest.mark.parametrize("huge", [1e308, -1e308])
def test_a_huge_value_is_an_alert_and_leaves_finite_scores_behind(detector: Detector, huge: float) -> None:
    values = noise(1500)
    values[700] = huge
    replay, _ = detector.advance(None, times(1500), values)
    assert replay.anomaly[700] > threshold(300.0, 2.0)
    assert np.isfinite(replay.anomaly[20:]).all()


def test_a_gap_of_days_is_no_anomaly_in_itself(detector: Detector) -> None:
    seconds = times(3000)
    seconds[1500:] += 3 * 86_400 + 1234
    replay, _ = detector.advance(None, seconds, noise(3000))
    assert np.nanmax(replay.anomaly[1500:1510]) < threshold(300.0, 2.0)


def test_a_scale_of_units_changes_nothing_that_matters(detector: Detector, five_minutes: Any) -> None:
    here, _ = detector.advance(None, five_minutes.seconds, five_minutes.values)
    scaled, _ = detector.advance(None, five_minutes.seconds, five_minutes.values * 1024)
    assert scaled.anomaly[20:] == pytest.approx(here.anomaly[20:], abs=1e-3)
    assert scaled.expected_high[200:] == pytest.approx(here.expected_high[200:] * 1024, rel=1e-6)


def test_the_expected_band_holds_about_99_of_100_rows_of_noise(detector: Detector) -> None:
    values = noise(6000)
    replay, _ = detector.advance(None, times(6000), values)
    inside = (replay.expected_low <= values) & (values <= replay.expected_high)
    assert 0.98 < inside[1000:].mean() < 0.998
    assert (replay.expected_low[1000:] <= replay.expected[1000:]).all()
    assert np.isnan(replay.expected[:20]).all()


def test_a_metric_that_was_never_negative_is_never_expected_to_be(detector: Detector) -> None:
    orders = np.maximum(np.rint(40 + 40 * np.sin(times(3000, 3600.0) * (2 * np.pi / 86_400)) + 6 * noise(3000)), 0.0)
    orders[2500:2512] = 0.0  # an outage, after which the forecast follows the season from where it is
    bands = [detector.advance(None, times(3000, 3600.0), values)[0] for values in (orders, orders - 50)]
    counts, balances = ([band.expected[100:], band.expected_low[100:], band.expected_high[100:]] for band in bands)
    assert np.min(counts) == 0.0
    assert np.min(balances) < -50.0
    np.testing.assert_allclose(np.array(counts), np.maximum(np.array(balances) + 50, 0.0), atol=1e-6)


def test_the_forecast_follows_a_course(detector: Detector) -> None:
    seconds = times(3000)
    values = 50 + 10 * np.sin(seconds / 6000) + 0.1 * noise(3000)
    replay, _ = detector.advance(None, seconds, values)
    assert np.median(np.abs(replay.expected - values)[500:]) < 0.3


def test_noise_raises_about_as_many_false_alarms_as_asked(detector: Detector) -> None:
    limit, rows = threshold(300.0, 8.0), 8640
    alarms = 0
    for seed in range(4):
        replay, _ = detector.advance(None, times(rows), noise(rows, seed))
        above = np.flatnonzero(replay.anomaly >= limit)
        alarms += int((np.diff(above, prepend=-100) >= 10).sum())
    assert 0.3 * 8 * 4 < alarms < 2 * 8 * 4  # 8640 rows of five minutes are a month


def count_peaks(detector: Detector, values: np.ndarray) -> int:
    _, state = detector.advance(None, times(len(values), 3600.0), values)
    return int(state.memory["head"]["peaks"][0])


def test_scores_of_heavy_tails_peak_more_often_and_are_lowered_for_it(detector: Detector) -> None:
    heavy = np.random.RandomState(0).standard_t(3, size=3000)
    slow = np.convolve(noise(3400), 0.95 ** np.arange(400), "valid")[:3000]
    assert count_peaks(detector, heavy) > 1.5 * count_peaks(detector, slow)
    alarms = 0
    for seed in range(3):
        replay, _ = detector.advance(None, times(3000, 3600.0), np.random.RandomState(seed).standard_t(3, size=3000))
        alarms += int((np.diff(np.flatnonzero(replay.anomaly >= threshold(3600.0, 4.0)), prepend=-100) >= 10).sum())
    assert alarms < 2 * 4 * 3 * 3000 / 720


def test_an_incident_does_not_make_a_metric_one_that_peaks_often(detector: Detector) -> None:
    values = noise(3000)
    usual = count_peaks(detector, values)
    values[[2000, 2100, 2200, 2300]] += 15
    assert count_peaks(detector, values) <= usual + 1


@pytest.mark.parametrize("peaks", [-1, 1001])
def test_a_state_with_an_impossible_count_of_peaks_is_not_used(detector: Detector, peaks: int) -> None:
    _, state = detector.advance(None, times(1000), noise(1000))
    assert detector.check(state) is None
    state.memory["head"]["peaks"] = peaks
    assert detector.check(state) == f"it counts {peaks} peaks in 1000 rows"


def test_a_spike_is_explained_by_direction_and_view(detector: Detector) -> None:
    values = noise(3000)
    values[[1000, 2000]] += [-12, 14]
    replay, _ = detector.advance(None, times(3000), values)
    said = detector.explain(replay)
    assert "far below its forecast" in said[1000]
    assert "far above its forecast" in said[2000]
    assert said[2000].count(";") == 2
    assert said[:20].null_count() == 20
    assert said.null_count() > 1500


def test_explanations_name_the_strongest_views_first_with_their_surprise(detector: Detector) -> None:
    values = noise(3000)
    values[2000] += 14
    replay, _ = detector.advance(None, times(3000), values)
    names = detector.explain(replay)[2000].split(" (")[0]
    numbers = [float(part.split()[1]) for part in names.split(", ")]
    strongest = dict(zip(detector.views, replay.surprises[2000], strict=True))
    assert numbers == sorted(numbers, reverse=True)
    for part in names.split(", "):
        name, number = part.split()
        assert float(number) == pytest.approx(strongest[name], abs=0.051)


@pytest.mark.parametrize(("start", "found"), [(288, []), (289, [300]), (2500, [2511])])
def test_a_flat_line_is_found_once_and_not_among_the_first_rows(detector: Detector, start: Any, found: list[int]) -> None:
    values = noise(3000)
    values[start : start + 60] = values[start]
    replay, _ = detector.advance(None, times(3000), values)
    assert np.flatnonzero(replay.flat_rows).tolist() == found
    assert replay.flat_rows.sum() == 12 * len(found)


def test_a_flat_line_must_last_twice_as_long_as_any_before(detector: Detector) -> None:
    values = noise(3000)
    values[1000:1020] = 1.0
    values[2000:2100] = 1.0
    replay, _ = detector.advance(None, times(3000), values)
    assert np.flatnonzero(replay.flat_rows).tolist() == [1011, 2040]
    assert replay.flat_rows[2040] == 41


def test_a_score_is_lowered_unless_it_is_the_highest_of_the_last_thirty_rows(detector: Detector) -> None:
    replay, state = detector.advance(None, times(1000), noise(1000))
    undamped, anomaly = state.memory["undamped"], replay.anomaly
    highest = np.array([undamped[max(0, i - 30) : i].max() for i in range(100, 1000)])
    expected = np.where(undamped[100:] > highest, 1.0, 0.85) * undamped[100:]
    assert anomaly[100:] == pytest.approx(expected)


def test_the_state_of_an_incident_outlasts_its_first_rows(detector: Detector) -> None:
    values = noise(3000)
    values[2000:2100] *= 6
    replay, _ = detector.advance(None, times(3000), values)
    assert np.isnan(replay.state[:20]).all()
    assert replay.state[2020:2100].min() > 1.5
    assert np.median(replay.state[2020:2100]) > np.median(replay.anomaly[2020:2100])
    assert np.median(replay.state[1000:2000]) < 1


def test_what_holds_the_state_up_is_forgotten_in_a_gap(detector: Detector) -> None:
    values = noise(3000)
    values[1990:2000] += 30
    seconds, later = times(3000), times(3000)
    later[2000:] += 30 * 86_400
    held, forgotten = (detector.advance(None, rows[:2001], values[:2001])[1].memory["head"]["hold"][0] for rows in (seconds, later))
    assert held > 1.5
    assert forgotten < held
