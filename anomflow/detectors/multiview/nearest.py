"""The three nearest neighbours: of a level among earlier ones, of many distances the smallest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.layout import Level

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEIGHBOURS: Final = 3
FAR: Final = 1e300
SCAN: Final = 16
FEW: Final = 128  # rows to judge; for fewer, looking through the past is cheaper than keeping it in order


@njit(nogil=True)
def keep_nearest(nearest: NDArray[np.float64], distance: float) -> None:
    """Insert a distance into the ascending list of the smallest ones, dropping the largest."""
    j = len(nearest) - 1
    if distance >= nearest[j]:
        return
    while j > 0 and nearest[j - 1] > distance:
        nearest[j] = nearest[j - 1]
        j -= 1
    nearest[j] = distance


@njit(nogil=True)
def three_nearest(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the three smallest distances, ascending; they are looked for block by block, which compiles to vector code."""
    nearest = np.full(NEIGHBOURS, FAR)
    for start in range(0, len(distances), SCAN):
        block = distances[start : start + SCAN]
        limit = nearest[NEIGHBOURS - 1]
        near = False
        for k in range(len(block)):
            near |= block[k] < limit
        if near:
            for k in range(len(block)):
                keep_nearest(nearest, block[k])
    return nearest


@njit(nogil=True)
def trailing_mean(values: NDArray[np.float64], lag: int, rows: int) -> NDArray[np.float64]:
    """Return the mean of ``rows`` values that end ``lag`` rows before each, summed from new to old; fewer at the beginning."""
    count = len(values)
    means = np.zeros(count)
    for back in range(lag, min(lag + rows, count)):
        for i in range(back, count):
            means[i] += values[i - back]
    for i in range(lag, count):
        means[i] /= min(i - lag + 1, rows)
    return means


@njit(nogil=True)
def build_level(values: NDArray[np.float64], past_rows: tuple[int, int], first: int) -> Level:
    """Return a level as it stands before row ``first``, the next one to be judged; ``past_rows`` are those left out and looked at."""
    gap, rows = past_rows
    count = np.zeros(1, np.int64)
    if len(values) - first < FEW:
        return Level(values, gap, rows, np.empty(0), count)
    ordered = np.empty(rows)
    end = max(0, first - gap)
    past = np.sort(values[max(0, end - rows) : end])
    ordered[: len(past)] = past
    count[0] = len(past)
    return Level(values, gap, rows, ordered, count)


@njit(nogil=True)
def exchange(ordered: NDArray[np.float64], leaving: float, entering: float) -> None:
    """Replace a value of a sorted array by another one; only what lies between them moves."""
    hole = np.searchsorted(ordered, leaving)
    place = np.searchsorted(ordered, entering)
    for j in range(hole, place - 1):
        ordered[j] = ordered[j + 1]
    for j in range(hole, place, -1):
        ordered[j] = ordered[j - 1]
    ordered[place - 1 if place > hole else place] = entering


@njit(nogil=True)
def slide(level: Level, i: int) -> NDArray[np.float64]:
    """Move the ordered past of a level on to row ``i`` and return it; rows come one after the other."""
    newest = i - level.gap
    if newest < 0:
        return level.ordered[:0]
    entering = level.values[newest]
    count = level.filled[0]
    if count == level.rows:
        exchange(level.ordered, level.values[newest - level.rows], entering)
        return level.ordered
    place = np.searchsorted(level.ordered[:count], entering)
    for j in range(count, place, -1):
        level.ordered[j] = level.ordered[j - 1]
    level.ordered[place] = entering
    level.filled[0] = count + 1
    return level.ordered[: count + 1]


@njit(nogil=True)
def three_around(ordered: NDArray[np.float64], now: float) -> NDArray[np.float64]:
    """Return the three smallest distances between a value and those of a sorted array, ascending."""
    nearest = np.empty(NEIGHBOURS)
    above = np.searchsorted(ordered, now)
    below = above - 1
    for k in range(NEIGHBOURS):
        if below >= 0 and (above >= len(ordered) or now - ordered[below] <= ordered[above] - now):
            nearest[k] = now - ordered[below]
            below -= 1
        else:
            nearest[k] = ordered[above] - now
            above += 1
    return nearest


@njit(nogil=True)
def level_score(level: Level, i: int, start: int, scratch: NDArray[np.float64]) -> float:
    """Return the mean distance of a level to its three nearest in the past, the newest rows left out."""
    now = level.values[i]
    if len(level.ordered) > 0:
        ordered = slide(level, i)
        if len(ordered) < max(start, NEIGHBOURS):
            return math.nan
        return float(three_around(ordered, now).sum() / NEIGHBOURS)
    end = max(0, i - level.gap + 1)
    past = level.values[max(0, end - level.rows) : end]
    if len(past) < max(start, NEIGHBOURS):
        return math.nan
    distances = scratch[: len(past)]
    for k in range(len(past)):
        distances[k] = abs(now - past[k])
    return float(three_nearest(distances).sum() / NEIGHBOURS)
