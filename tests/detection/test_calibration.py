"""From tolerated false alarms to a threshold, from A to a surprise and a stored score, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.calibration import anomaly_from_score, anomaly_from_surprise, anomaly_score, surprise, threshold

LEVELS = st.floats(0, 8)


@pytest.mark.parametrize(
    ("step", "alarms", "level"),
    [
        (60, 2, 2.5 + (np.log10(21_600) - 3.759) / 0.7),
        (300, 2, 1 + (np.log10(4320) - 1.80) / 1.306),
        (1, 0.5, 2.5 + (np.log10(5_184_000) - 3.759) / 0.7),
    ],
)
def test_the_threshold_follows_from_step_and_tolerated_false_alarms(step: float, alarms: float, level: float) -> None:
    assert float(threshold(step, alarms)) == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize(("step", "rows"), [(3600, 100), (86_400, 50), (6 * 3600, 100), (6 * 3600 + 1, 50)])
def test_never_more_than_one_false_alarm_in_so_many_rows_is_granted(step: float, rows: int) -> None:
    assert float(surprise(threshold(step, 1000))) == pytest.approx(np.log10(rows))


@pytest.mark.parametrize(("alarms", "rows"), [(0.1, 300), (0.5, 200), (2, 200), (4, 100), (8, 50), (30, 50)])
def test_on_daily_metrics_more_alarms_come_only_where_more_than_usual_are_asked_for(alarms: float, rows: float) -> None:
    assert float(surprise(threshold(86_400, alarms))) == pytest.approx(np.log10(rows))


@given(LEVELS, LEVELS)
def test_all_scales_grow_with_a(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert anomaly_score(low) <= anomaly_score(high)
    assert surprise(low) <= surprise(high)


@given(LEVELS)
def test_scales_can_be_turned_back(level: float) -> None:
    assert float(anomaly_from_score(anomaly_score(level))) == pytest.approx(level, abs=1e-9)
    assert float(anomaly_from_surprise(surprise(level))) == pytest.approx(level, abs=1e-9)


def test_a_score_of_an_anomstack_threshold_keeps_its_sense() -> None:
    assert anomaly_score([0.0, 2.0]).tolist() == pytest.approx([0.0, 0.8])
    assert float(anomaly_from_score(0.8)) == pytest.approx(2.0)


def test_a_missing_score_stays_missing() -> None:
    assert np.isnan(anomaly_score([np.nan])).all()
    assert np.isnan(surprise([np.nan])).all()


def test_thresholds_of_many_metrics_come_at_once() -> None:
    assert threshold(np.array([60.0, 3600.0]), 2.0).shape == (2,)
