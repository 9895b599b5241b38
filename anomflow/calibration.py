"""The scale of surprise: which score a wanted rate of false alarms asks for, and how rare a score is.

The curve was fitted to the default detector's combination of views on development series: on ordinary data its score
A is exceeded (after damping and snooze) once in 10**y rows, with y = 1.84 at A = 1, a slope of 1.306 up to y = 4.19
and of 0.7 beyond. Another combination needs a curve of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MONTH_SECONDS: Final = 30 * 86_400.0
SLOW_STEP_SECONDS: Final = 6 * 3_600.0
_FAST_ROWS: Final = 100.0
_SLOW_ROWS: Final = 200.0
_LOW_A: Final = 1.0
_LOW_Y: Final = 1.84
_LOW_SLOPE: Final = 1.306
_HIGH_A: Final = 2.8
_HIGH_Y: Final = 4.19
_HIGH_SLOPE: Final = 0.7


def threshold(step_seconds: ArrayLike, false_alarms_per_month: ArrayLike) -> NDArray[np.float64]:
    """Return the A from which a row alerts, for the false alarms that a metric may raise in 30 days.

    Never asks for more than one false alarm in 100 rows (200 where the step is above six hours). NaN in, NaN out.
    """
    step = np.asarray(step_seconds, dtype=np.float64)
    rows = MONTH_SECONDS / step / np.asarray(false_alarms_per_month, dtype=np.float64)
    rarity = np.log10(np.maximum(rows, np.where(step > SLOW_STEP_SECONDS, _SLOW_ROWS, _FAST_ROWS)))
    low = _LOW_A + (rarity - _LOW_Y) / _LOW_SLOPE
    high = _HIGH_A + (rarity - _HIGH_Y) / _HIGH_SLOPE
    return np.asarray(np.where(rarity < _HIGH_Y, low, high))


def surprise(anomaly: ArrayLike) -> NDArray[np.float64]:
    """Return minus log10 of the share of ordinary rows that reach this A, at least 0: the inverse of the curve."""
    score = np.asarray(anomaly, dtype=np.float64)
    low = np.minimum(_LOW_Y + (score - _LOW_A) * _LOW_SLOPE, _HIGH_Y)  # the two lines miss each other by 0.001
    high = _HIGH_Y + (score - _HIGH_A) * _HIGH_SLOPE
    return np.maximum(np.where(score < _HIGH_A, low, high), 0.0)


def anomaly_score(anomaly: ArrayLike) -> NDArray[np.float64]:
    """Return A on the scale of [0, 1] that is stored: 1 - 5**(-A/2), so that 0.8 is A = 2."""
    return np.asarray(1.0 - np.power(5.0, -np.asarray(anomaly, dtype=np.float64) / 2.0))


def anomaly_from_score(score: ArrayLike) -> NDArray[np.float64]:
    """Return the A of a stored score; infinite for 1."""
    with np.errstate(divide="ignore"):
        return np.asarray(-2.0 * np.log(1.0 - np.asarray(score, dtype=np.float64)) / np.log(5.0))
