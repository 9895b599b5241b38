"""Anomalies to inject: what a stretch of a metric's rows would have been, had something happened to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = NDArray[np.float64]

# How large anomalies are, in noises of the metric: drawn evenly for each place.
SMALLEST: Final = 2.0
LARGEST: Final = 10.0
_NOISE_ROWS: Final = 1000
_LIMIT: Final = 1e307


@dataclass(frozen=True, eq=False)
class Stretch:
    """Rows to change: their values, the value before them, the size of an anomaly in their unit, draws from a normal distribution."""

    values: Floats
    before: float
    size: float
    draws: Floats


def find_noise(values: Floats) -> float:
    """Return how much the newest 1,000 values differ from one to the next, as a standard deviation; never zero.

    Steps are measured by their median, which outliers do not move; a metric that rarely steps by its spread, and one that
    never changes by a tenth of its size.
    """
    recent = np.clip(values[-_NOISE_ROWS:], -_LIMIT / 10, _LIMIT / 10)
    steps = np.diff(recent)
    typical = 1.4826 * float(np.median(np.abs(steps))) / math.sqrt(2) if len(steps) else 0.0
    size = float(np.max(np.abs(recent), initial=0.0))
    if typical > 1e-9 * size:
        return typical
    spread = float(np.std(recent / size)) * size if size else 0.0
    return spread if spread > 1e-9 * size else size / 10 or 1.0


def _spike(stretch: Stretch) -> Floats:
    return stretch.values + stretch.size * _first(stretch.values)


def _dip(stretch: Stretch) -> Floats:
    return stretch.values - stretch.size * _first(stretch.values)


def _first(values: Floats) -> Floats:
    first: Floats = (np.arange(len(values)) == 0).astype(np.float64)
    return first


def _shift(stretch: Stretch) -> Floats:
    return stretch.values + stretch.size


def _ramp(stretch: Stretch) -> Floats:
    return stretch.values + stretch.size * np.arange(1, len(stretch.values) + 1) / len(stretch.values)


def _burst(stretch: Stretch) -> Floats:
    return stretch.values + stretch.size * stretch.draws


def _flat(stretch: Stretch) -> Floats:
    return np.full(len(stretch.values), stretch.before)


def _swap(stretch: Stretch) -> Floats:
    return np.roll(stretch.values, len(stretch.values) // 2)


SHAPES: Final[dict[str, Callable[[Stretch], Floats]]] = {
    "spike": _spike,
    "dip": _dip,
    "level shift": _shift,
    "ramp": _ramp,
    "variance burst": _burst,
    "flat line": _flat,
    "phase swap": _swap,
}


def inject(shape: str, stretch: Stretch) -> Floats:
    """Return the values of a stretch with an anomaly of a shape in it, which begins at its first row; always finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        changed = SHAPES[shape](stretch)
    finite: Floats = np.clip(np.nan_to_num(changed, nan=stretch.before), -_LIMIT, _LIMIT)
    return finite
