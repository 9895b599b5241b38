"""The baseline is Anomstack's default: the place among the training rows' scores, by models of earlier rows only."""

from __future__ import annotations

import numpy as np
import pytest
from pyod.models.knn import KNN
from pyod.models.pca import PCA

from benchmarks.anomstack import FEATURES, score_anomstack

VALUES = np.random.RandomState(7).normal(size=700)


def test_a_row_is_placed_between_the_least_and_the_greatest_score_of_the_training_rows() -> None:
    lags = FEATURES.lags_n
    differences = np.diff(VALUES)
    smooth = np.convolve(differences, np.full(3, 1 / 3), "valid")  # its first entry belongs to row 3
    rows = np.column_stack([smooth[lags - lag : len(smooth) - lag] for lag in range(lags + 1)])  # the first one to row 8
    past, new = rows[: 500 - 8], rows[500 - 8 :]
    places = [model.fit(past).predict_proba(new)[:, 1] for model in (PCA(), KNN())]
    assert score_anomstack(VALUES)[500:] == pytest.approx(np.mean(places, axis=0))


def test_later_rows_change_no_earlier_score_and_the_first_ones_have_none() -> None:
    whole, part = score_anomstack(VALUES), score_anomstack(VALUES[:600])
    assert np.array_equal(whole[:600], part, equal_nan=True)
    assert np.isnan(whole[:50]).all()
    assert ((whole[50:] >= 0) & (whole[50:] <= 1)).all()


def test_a_constant_series_scores_nothing_high() -> None:
    assert not (score_anomstack(np.full(400, 3.0)) > 0).any()
