"""The default detector of Anomstack as its code has it, written anew as the baseline to compare with.

Features are the difference, its trailing mean of three, and five lags of that. PCA and KNN of PyOD are fitted on the newest
2,500 rows; a row's score is the mean of both models' probabilities, which are places between the least and the greatest
score of the training rows, cut off at 0 and 1. It alerts from 0.8 on: its smoothing averages over later rows, of which the
newest row has none, so none is applied here. Anomstack trains every five minutes; here every 250 rows, which changes the
figures little (more often costs only time).
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pyod.models.knn import KNN
from pyod.models.pca import PCA

from anomflow.features import build_features
from anomflow.sections.detector import PreprocessParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.corpus import Floats

THRESHOLD: Final = 0.8
TRAINING_ROWS: Final = 2500
FEATURES: Final = PreprocessParams(diff_n=1, smooth_n=3, lags_n=5)
FIRST_FITS: Final = (50, 100, 175)
EVERY: Final = 250


def score_anomstack(values: Floats) -> Floats:
    """Return the score of each row, by models of the rows before its own; NaN before the first models."""
    features = build_features(values, FEATURES)
    scores = np.full(len(values), np.nan)
    for start, end in _cut(len(values)):
        past = features[max(start - TRAINING_ROWS, 0) : start]
        usable = past[~np.isnan(past).any(axis=1)]
        places = [_place(model, usable, features[start:end]) for model in (PCA(contamination=0.01), KNN(contamination=0.01))]
        scores[start:end] = _mean(np.array(places))
    return scores


def _cut(rows: int) -> Iterator[tuple[int, int]]:
    """Yield the rows that the same models judge."""
    starts = [start for start in (*FIRST_FITS, *range(EVERY, rows, EVERY)) if start < rows]
    yield from pairwise([*starts, rows])


def _place(model: Any, past: Floats, new: Floats) -> Floats:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return np.asarray(model.fit(past).predict_proba(new)[:, 1], np.float64)
        except ValueError:  # PCA of constant rows has no components that explain anything
            return np.full(len(new), np.nan)


def _mean(places: Floats) -> Floats:
    """Return the mean over the models that say something, as pandas takes it."""
    known = ~np.isnan(places)
    counts = known.sum(axis=0)
    means: Floats = np.divide(np.where(known, places, 0.0).sum(axis=0), counts, out=np.full(places.shape[1], np.nan), where=counts > 0)
    return means
