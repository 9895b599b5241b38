from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow import calibration

STEPS = st.sampled_from([10.0, 60.0, 300.0, 3600.0, 86400.0, 604800.0])


@pytest.mark.parametrize(("anomaly", "score"), [(0.0, 0.0), (2.0, 0.8), (4.0, 0.96)])
def test_the_stored_score_is_fixed_and_0_8_is_an_a_of_2(anomaly: float, score: float) -> None:
    assert calibration.anomaly_score(anomaly) == pytest.approx(score)
    assert calibration.anomaly_from_score(score) == pytest.approx(anomaly)


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        pytest.param(60, 21_600, id="a minute: as asked"),
        pytest.param(3600, 360, id="an hour: as asked"),
        pytest.param(6 * 3600, 100, id="six hours: one in 100 rows at most"),
        pytest.param(86_400, 200, id="a day: one in 200 rows at most"),
    ],
)
def test_the_threshold_follows_from_two_false_alarms_in_30_days(step: float, rows: float) -> None:
    assert calibration.surprise(calibration.threshold(step, 2.0)) == pytest.approx(np.log10(rows), abs=0.001)


@given(STEPS, st.floats(0.1, 500), st.floats(0.1, 500))
def test_fewer_false_alarms_never_lower_the_threshold(step: float, one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert calibration.threshold(step, few) >= calibration.threshold(step, many)


@given(st.lists(st.floats(0, 8), min_size=2))
def test_surprise_and_stored_score_keep_the_order_of_a(anomalies: list[float]) -> None:
    ordered = np.sort(anomalies)
    assert (np.diff(calibration.surprise(ordered)) >= 0).all()
    assert (np.diff(calibration.anomaly_score(ordered)) >= 0).all()
    assert (calibration.surprise(ordered) >= 0).all()


def test_what_is_unknown_stays_unknown() -> None:
    assert np.isnan(calibration.threshold([np.nan, 60.0], 2.0)).tolist() == [True, False]
    assert np.isnan(calibration.surprise(np.nan))
    assert np.isposinf(calibration.anomaly_from_score(1.0))
