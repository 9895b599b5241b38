"""Features of one metric's rows: what models of PyOD are fitted on, a row of numbers for each row of the metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from anomflow.sections.detector import PreprocessParams

Floats = NDArray[np.float64]

# Beyond this, squares and single precision overflow in the models.
LIMIT: Final = 1e30


def build_features(values: Floats, params: PreprocessParams) -> Floats:
    """Return a column for the present row and one for each lag; NaN in rows that have too few before them.

    The difference over ``diff_n`` rows comes first, then the trailing mean of ``smooth_n``, then the lags: Anomstack's
    definition. Sums run from new to old, so that a row's bits depend on no row further back than it needs. Features are
    cut off at 1e30.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        differences = values - _back(values, params.diff_n) if params.diff_n else values
        smooth = _trailing_mean(np.clip(differences, -LIMIT, LIMIT), max(params.smooth_n, 1))
    columns = np.column_stack([_back(smooth, lag) for lag in range(params.lags_n + 1)])
    columns[np.isnan(columns).any(axis=1)] = np.nan
    return columns


def _back(values: Floats, rows: int) -> Floats:
    shifted = np.full(len(values), np.nan)
    shifted[rows:] = values[: max(len(values) - rows, 0)]
    return shifted


def _trailing_mean(values: Floats, rows: int) -> Floats:
    total = values.copy()
    for back in range(1, rows):
        total += _back(values, back)
    return total / rows
