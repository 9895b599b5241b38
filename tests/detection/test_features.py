"""Features of rows: Anomstack's definition, the same bits for a row wherever the rows begin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomflow.features import build_features
from anomflow.sections.detector import PreprocessParams

PARAMS = st.builds(PreprocessParams, diff_n=st.integers(0, 3), smooth_n=st.integers(0, 5), lags_n=st.integers(0, 6))
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def by_formula(values: list[float], params: PreprocessParams) -> list[list[float]]:
    """Difference, then the mean of the last rows, then the rows before as columns; what needs a row that is not there is NaN."""
    back, mean_of = params.diff_n, max(params.smooth_n, 1)
    changes = [values[t] - values[t - back] if back and t >= back else math.nan if back else values[t] for t in range(len(values))]
    smooth = [sum(changes[t - mean_of + 1 : t + 1]) / mean_of if t + 1 >= mean_of else math.nan for t in range(len(values))]
    rows = [[smooth[t - lag] if t >= lag else math.nan for lag in range(params.lags_n + 1)] for t in range(len(values))]
    return [[math.nan] * len(row) if any(map(math.isnan, row)) else row for row in rows]


@settings(max_examples=200)
@given(values=VALUES, params=PARAMS)
def test_features_are_those_of_the_formula(values: list[float], params: PreprocessParams) -> None:
    made = build_features(np.array(values), params)

    np.testing.assert_allclose(made, by_formula(values, params), rtol=1e-9, atol=1e-6)


def test_the_usual_features_of_a_short_series() -> None:
    made = build_features(np.array([1.0, 2.0, 4.0, 7.0, 11.0]), PreprocessParams(lags_n=1))

    # differences 1, 2, 3, 4; their means of three 2 and 3; each beside the one before it
    np.testing.assert_array_equal(made, [*[[np.nan, np.nan]] * 4, [3.0, 2.0]])


@settings(max_examples=50)
@given(values=VALUES, params=PARAMS, start=st.integers(0, 29))
def test_a_row_s_features_depend_on_no_row_further_back_than_it_needs(values: list[float], params: PreprocessParams, start: int) -> None:
    whole, part = build_features(np.array(values), params), build_features(np.array(values[start:]), params)
    known = ~np.isnan(part).any(axis=1)

    assert part[known].tobytes() == whole[start:][known].tobytes()
    assert known.sum() == max(len(values) - start - params.lookback, 0)


@pytest.mark.parametrize("value", [1e308, -1e308])
def test_features_of_huge_values_are_finite(value: float) -> None:
    values = np.array([0.0, value, -value, 0.0] * 5)

    made = build_features(values, PreprocessParams())

    assert np.isfinite(made[8:]).all()
    assert np.abs(made[8:]).max() <= 1e30
