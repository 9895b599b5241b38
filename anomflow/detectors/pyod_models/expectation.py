"""What a row was expected to be, which models of PyOD do not tell: the level of the rows just before, give or take what was usual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from anomflow.detectors.states import Floats

LEVEL_ROWS: Final = 5  # odd, so that their median is one of them, whatever their size
OUTSIDE: Final = 0.005  # share of earlier rows that lay outside of the range


def find_levels(values: Floats, new: int) -> Floats:
    """Return the median of the five rows before each of the newest ``new`` rows; NaN where there are fewer."""
    levels = np.full(new, np.nan)
    start = max(len(values) - new - LEVEL_ROWS, 0)
    windows = sliding_window_view(values[start:-1], LEVEL_ROWS) if len(values) - start > LEVEL_ROWS else np.empty((0, LEVEL_ROWS))
    if len(windows):
        levels[new - len(windows) :] = np.median(windows, axis=1)
    return levels


def find_range(values: Floats) -> tuple[float, float]:
    """Return how far below and above their level all but a few rows lay; NaN where there are too few or too far."""
    with np.errstate(over="ignore", invalid="ignore"):
        distances = values - find_levels(values, len(values))
        distances = distances[np.isfinite(distances)]
    if len(distances) < LEVEL_ROWS:
        return np.nan, np.nan
    low, high = np.quantile(distances, [OUTSIDE / 2, 1 - OUTSIDE / 2], method="inverted_cdf")
    return min(float(low), 0.0), max(float(high), 0.0)
