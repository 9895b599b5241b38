"""The views of the onset score: each gives row ``i`` a raw score from rows at or before it; NaN: none yet.

A score is high where the row looks unlike its past.

Rows are those of one metric under the scale of its stage. Sums run in a fixed order, so a row gets the same bits
however the series was cut.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.layout import LEVEL12, RANGE, SHAPE6, SHIFT, Learned, Level, Work
from anomflow.detectors.multiview.nearest import NEIGHBOURS, level_score, slide, three_nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE_ROWS: Final = 2_000
SHAPE_LAGS: Final = 6


@njit(nogil=True)
def range_score(value: float, highest: float, lowest: float) -> float:
    """Return how far a value lies outside the range of all earlier rows, relative to that range."""
    width = highest - lowest
    if width <= 0:
        return 0.0
    return max((value - highest) / width, (lowest - value) / width, 0.0)


@njit(nogil=True)
def middle_of(ordered: NDArray[np.float64]) -> float:
    """Return the median of ascending values."""
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 == 1 else float((ordered[half - 1] + ordered[half]) / 2)


@njit(nogil=True)
def spread_of(ordered: NDArray[np.float64], middle: float) -> float:
    """Return the median of the distances of ascending values from their median, by a walk from there to both sides."""
    above = np.searchsorted(ordered, middle)
    below = above - 1
    last = 0.0
    distance = 0.0
    for _ in range(len(ordered) // 2 + 1):
        last = distance
        if below >= 0 and (above >= len(ordered) or middle - ordered[below] <= ordered[above] - middle):
            distance = middle - ordered[below]
            below -= 1
        else:
            distance = ordered[above] - middle
            above += 1
    return distance if len(ordered) % 2 == 1 else (last + distance) / 2


@njit(nogil=True)
def shift_score(recent: Level, i: int, least: int) -> float:
    """Return how far the median of the newest rows lies from the median of those before, in units of their MAD."""
    rows = recent.gap
    kept = len(recent.ordered) > 0
    ordered = slide(recent, i) if kept else recent.ordered
    if i < rows + least:
        return math.nan
    if not kept:
        ordered = np.sort(recent.values[max(0, i - rows + 1 - recent.rows) : i - rows + 1])
    middle = middle_of(ordered)
    spread = spread_of(ordered, middle) * 1.4826
    return float(abs(np.median(recent.values[i - rows + 1 : i + 1]) - middle) / (spread + 0.1))


@njit(nogil=True)
def shape_score(work: Work, i: int, start: int, scratch: NDArray[np.float64]) -> float:
    """Return the mean distance of the centred last six rows to their three nearest in the past."""
    first = max(0, i - SHAPE_ROWS)
    end = i - SHAPE_LAGS
    if end - first < start:
        return math.nan
    first = max(first, SHAPE_LAGS - 1)
    distances = scratch[: end - first]
    scaled, means, mean = work.scaled, work.lag_mean[first:end], work.lag_mean[i]
    past0, past1, past2 = scaled[first:end], scaled[first - 1 : end - 1], scaled[first - 2 : end - 2]
    past3, past4, past5 = scaled[first - 3 : end - 3], scaled[first - 4 : end - 4], scaled[first - 5 : end - 5]
    now0, now1, now2, now3, now4, now5 = scaled[i], scaled[i - 1], scaled[i - 2], scaled[i - 3], scaled[i - 4], scaled[i - 5]
    for k in range(len(distances)):  # all lags together: memory is slower than arithmetic
        offset = mean - means[k]
        part0, part1, part2 = now0 - past0[k] - offset, now1 - past1[k] - offset, now2 - past2[k] - offset
        part3, part4, part5 = now3 - past3[k] - offset, now4 - past4[k] - offset, now5 - past5[k] - offset
        distances[k] = part0 * part0 + part1 * part1 + part2 * part2 + part3 * part3 + part4 * part4 + part5 * part5
    return float(np.sqrt(three_nearest(distances)).sum() / NEIGHBOURS)


@njit(nogil=True)
def look(work: Work, i: int, learned: Learned, raw: NDArray[np.float64]) -> None:
    """Fill in the raw scores of the views of the onset score but those of the forecast and the season."""
    head, sizes = learned.head, learned.sizes
    raw[:] = math.nan
    value = work.scaled[i]
    if head.young == 0:
        if i >= sizes.start:
            raw[RANGE] = range_score(value, head.highest, head.lowest)
        raw[LEVEL12] = level_score(work.hourly, i, sizes.start, work.scratch)
        raw[SHIFT] = shift_score(work.recent, i, sizes.shift_least)
    head.highest = max(head.highest, value)
    head.lowest = min(head.lowest, value)
    if not sizes.small:
        raw[SHAPE6] = shape_score(work, i, sizes.start, work.scratch)
