"""How rare a combined anomaly score A is, which threshold follows from tolerated false alarms, and what is stored.

The curve tells, for the weights of the multi-view detector's onset head, minus log10 of the notifications that a normal
row causes at a threshold: linear in A with a bend. It was fitted to pooled development data, its bend to simulated noise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MONTH: Final = 30 * 86_400.0
ROWS_PER_ALARM: Final = 100.0  # never ask for more than one false alarm in so many rows
COARSE_ROWS_PER_ALARM: Final = 200.0
COARSE_LEAST: Final = 50.0  # however many are asked for
USUAL_ALARMS: Final = 2.0
COARSE_STEP: Final = 6 * 3600.0

FIRST_A: Final = 1.0
FIRST_SURPRISE: Final = 1.80
FIRST_SLOPE: Final = 1.306
BEND_A: Final = 2.5
BEND_SURPRISE: Final = FIRST_SURPRISE + FIRST_SLOPE * (BEND_A - FIRST_A)
BEND_SLOPE: Final = 0.7

_RATE: Final = np.log(5.0) / 2


def surprise(anomaly: ArrayLike) -> Floats:
    """Return minus log10 of how often a normal row notifies at this A or a higher one (4 is one row in 10,000)."""
    a = np.asarray(anomaly, np.float64)
    return np.where(a < BEND_A, FIRST_SURPRISE + FIRST_SLOPE * (a - FIRST_A), BEND_SURPRISE + BEND_SLOPE * (a - BEND_A))


def anomaly_from_surprise(rarity: ArrayLike) -> Floats:
    """Return the A of a surprise."""
    y = np.asarray(rarity, np.float64)
    return np.where(y < BEND_SURPRISE, FIRST_A + (y - FIRST_SURPRISE) / FIRST_SLOPE, BEND_A + (y - BEND_SURPRISE) / BEND_SLOPE)


def threshold(step_seconds: ArrayLike, false_alarms_per_month: ArrayLike) -> Floats:
    """Return the A that a metric of this step exceeds so many times in 30 days while it is normal.

    At most one false alarm in 100 rows is granted. For a step above six hours it is one in 200, and where more than two
    are asked for as many times more, up to one in 50; so the default stays quiet on daily metrics.
    """
    step, alarms = np.asarray(step_seconds, np.float64), np.asarray(false_alarms_per_month, np.float64)
    rows = MONTH / step / alarms
    coarse = np.clip(COARSE_ROWS_PER_ALARM * USUAL_ALARMS / alarms, COARSE_LEAST, COARSE_ROWS_PER_ALARM)
    least = np.where(step > COARSE_STEP, coarse, ROWS_PER_ALARM)
    return anomaly_from_surprise(np.log10(np.maximum(rows, least)))


def anomaly_score(anomaly: ArrayLike) -> Floats:
    """Return the score in [0, 1) that is stored for A: 1 - 5**(-A/2), so that 0.8 is A = 2."""
    score: Floats = -np.expm1(-_RATE * np.asarray(anomaly, np.float64))
    return score


def anomaly_from_score(score: ArrayLike) -> Floats:
    """Return the A of a stored score: infinity for 1, which rounding makes of very high ones."""
    with np.errstate(divide="ignore"):
        anomaly: Floats = -np.log1p(-np.asarray(score, np.float64)) / _RATE
    return anomaly
