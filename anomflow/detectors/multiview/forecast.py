"""The forecast of the next row: robust recursive least squares of an autoregression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.layout import AR_SIZE, Head

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORGET: Final = 0.999
PRIOR: Final = 100.0
TRACE_LIMIT: Final = 1e10
CLIP: Final = 4.0
WARM_UP: Final = 10
SCALE_RATE: Final = 0.005


@njit(nogil=True)
def reset_covariance(head: Head) -> None:
    """Forget how sure the weights are."""
    for a in range(AR_SIZE):
        for b in range(AR_SIZE):
            head.covariance[a, b] = PRIOR if a == b else 0.0


@njit(nogil=True)
def reset_forecast(head: Head) -> None:
    """Start from the forecast that the next value is the last one."""
    for a in range(AR_SIZE):
        head.weights[a] = 1.0 if a == 1 else 0.0
    reset_covariance(head)
    head.sigma = 0.0
    head.updates = 0


@njit(nogil=True)
def forecast(head: Head, scaled: NDArray[np.float64], i: int, order: int) -> float:
    """Return the value that the ``order`` rows before row ``i`` let expect; NaN where there are fewer."""
    if i < order:
        return math.nan
    expected = head.weights[0]
    for a in range(1, order + 1):
        expected += head.weights[a] * scaled[i - a]
    return float(expected)


@njit(nogil=True)
def clipped(head: Head, residual: float) -> float:
    """Bound a residual to four sigma and move sigma, the moving average of bounded residuals."""
    size = abs(residual)
    limit = CLIP * head.sigma if head.updates > WARM_UP else size
    rate = max(1.0 / (head.updates + 1), SCALE_RATE)
    bounded = min(size, limit) if head.updates > WARM_UP else size
    head.sigma += rate * (bounded * 1.2533 - head.sigma)
    head.updates += 1
    return limit * np.sign(residual) if 0 < limit < size else residual


@njit(nogil=True)
def learn(model: tuple[Head, int], scaled: NDArray[np.float64], i: int, residual: float) -> None:
    """Move the weights by the bounded residual of row ``i``; ``model`` is the head and the order."""
    head, order = model
    size = order + 1
    inputs = np.empty(size)
    inputs[0] = 1.0
    for a in range(1, size):
        inputs[a] = scaled[i - a]
    gain = np.zeros(size)
    doubt = FORGET
    for a in range(size):
        for b in range(size):
            gain[a] += head.covariance[a, b] * inputs[b]
        doubt += inputs[a] * gain[a]
    innovation = clipped(head, residual)
    trace = 0.0
    for a in range(size):
        head.weights[a] += gain[a] / doubt * innovation
        for b in range(size):
            head.covariance[a, b] = (head.covariance[a, b] - gain[a] / doubt * gain[b]) / FORGET
        trace += head.covariance[a, a]
    if not (doubt > 0 and math.isfinite(head.weights.sum())):  # rounding on extreme values
        reset_forecast(head)
    elif not trace <= TRACE_LIMIT:
        reset_covariance(head)
