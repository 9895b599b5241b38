"""The views: each gives row ``i`` a raw score from rows at or before it, high where the row looks unlike its past; NaN: none yet.

Rows are those of one metric under the scale of its stage. Sums run in a fixed order, so a row gets the same bits
however the series was cut.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.layout import LEVEL12, RANGE, RING, SEASON_RESID, SEASON_SHAPE, SHAPE6, SHIFT, Learned, Sizes, Work

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL_ROWS: Final = 10_000
SHAPE_ROWS: Final = 2_000
SHAPE_LAGS: Final = 6
NEIGHBOURS: Final = 3
SHIFT_PAST: Final = 160
TREND_RATE: Final = 0.05
FAR: Final = 1e300
SCAN: Final = 16


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
def range_score(value: float, highest: float, lowest: float) -> float:
    """Return how far a value lies outside the range of all earlier rows, relative to that range."""
    width = highest - lowest
    if width <= 0:
        return 0.0
    return max((value - highest) / width, (lowest - value) / width, 0.0)


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
def level_score(level: NDArray[np.float64], i: int, sizes: Sizes, scratch: NDArray[np.float64]) -> float:
    """Return the mean distance of a level to its three nearest in the past, the newest rows left out."""
    end = i - sizes.hour + 1
    past = level[max(0, end - LEVEL_ROWS) : max(0, end)]
    if len(past) < max(sizes.start, NEIGHBOURS):
        return math.nan
    distances = scratch[: len(past)]
    now = level[i]
    for k in range(len(past)):
        distances[k] = abs(now - past[k])
    return float(three_nearest(distances).sum() / NEIGHBOURS)


@njit(nogil=True)
def shift_score(scaled: NDArray[np.float64], i: int, rows: int, least: int) -> float:
    """Return how far the median of the newest rows lies from the median of those before, in units of their MAD."""
    if i < rows + least:
        return math.nan
    past = scaled[max(0, i - rows + 1 - SHIFT_PAST) : i - rows + 1]
    middle = np.median(past)
    spread = np.median(np.abs(past - middle)) * 1.4826
    return float(abs(np.median(scaled[i - rows + 1 : i + 1]) - middle) / (spread + 0.1))


@njit(nogil=True)
def shape_distance(work: Work, means: NDArray[np.float64], rows: tuple[int, int, int], limit: float) -> float:
    """Return the squared distance between the centred last lags of two rows, or ``limit`` where it is larger.

    ``rows`` are the two rows and the count of lags.
    """
    i, j, lags = rows
    offset = means[i] - means[j]
    total = 0.0
    for q in range(lags):
        part = work.scaled[i - q] - work.scaled[j - q] - offset
        total += part * part
        if total >= limit:
            return limit
    return total


@njit(nogil=True)
def shape_score(work: Work, i: int, start: int, scratch: NDArray[np.float64]) -> float:
    """Return the mean distance of the centred last six rows to their three nearest in the past."""
    first = max(0, i - SHAPE_ROWS)
    end = i - SHAPE_LAGS
    if end - first < start:
        return math.nan
    first = max(first, SHAPE_LAGS - 1)
    distances = scratch[: end - first]
    distances[:] = 0.0
    means = work.lag_mean[first:end]
    for q in range(SHAPE_LAGS):
        past = work.scaled[first - q : end - q]
        now = work.scaled[i - q]
        for k in range(len(distances)):
            part = now - past[k] - (work.lag_mean[i] - means[k])
            distances[k] += part * part
    return float(np.sqrt(three_nearest(distances)).sum() / NEIGHBOURS)


@njit(nogil=True)
def row_at(seconds: NDArray[np.float64], i: int, target: float, tolerance: float) -> int:
    """Return the row before ``i`` that is nearest in time to a target, the earlier of two; -1 for a target before the past."""
    first = max(0, i - RING + 1)
    if target < seconds[first] - (tolerance if first == 0 else 0.0):
        return -1
    row = max(first, first + int(np.searchsorted(seconds[first:i], target, side="right")) - 1)
    if row + 1 < i and abs(seconds[row + 1] - target) < abs(seconds[row] - target):
        row += 1
    return row if row < i else -1


@njit(nogil=True)
def season_rows(seconds: NDArray[np.float64], i: int, period: float, sizes: Sizes) -> NDArray[np.int64]:
    """Return the rows of earlier cycles at the phase of row ``i``, newest cycle first; -1 where there is none."""
    rows = np.empty(sizes.cycles, np.int64)
    for c in range(sizes.cycles):
        rows[c] = row_at(seconds, i, seconds[i] - (c + 1) * period, period * 0.02)
    return rows


@njit(nogil=True)
def season_median(work: Work, i: int, rows: NDArray[np.int64], half_width: int) -> float:
    """Return the median of the pool of rows at the same phase, NaN where the pool is too small."""
    pool = np.empty(len(rows) * (2 * half_width + 1))
    count = 0
    for row in rows:
        if row < 0:
            continue
        for j in range(max(0, i - RING + 1, row - half_width), min(i, row + half_width + 1)):
            pool[count] = work.scaled[j]
            count += 1
    if count < 2 * half_width + 1:
        return math.nan
    return float(np.median(pool[:count]))


@njit(nogil=True)
def season_resid_score(work: Work, i: int, rows: NDArray[np.int64], learned: Learned) -> float:
    """Return how far the seasonal residual lies from its moving average, and move that."""
    head, half_width = learned.head, learned.sizes.half_width
    middle = season_median(work, i, rows, half_width)
    residual = 0.0 if math.isnan(middle) else work.scaled[i] - middle
    head.trend = residual if i == 0 else head.trend + TREND_RATE * (residual - head.trend)
    return abs(residual - float(head.trend)) if rows[0] >= 0 else math.nan


@njit(nogil=True)
def season_shape_score(work: Work, i: int, rows: NDArray[np.int64], sizes: Sizes) -> float:
    """Return the mean distance of the centred last rows to the nearest of the pool of rows at the same phase."""
    lags = sizes.shape
    oldest = max(0, i - RING + 1) + lags - 1
    if i < lags - 1:
        return math.nan
    nearest = np.full(sizes.neighbours, FAR)
    count = 0
    for row in rows:
        if row < 0:
            continue
        for j in range(max(oldest, row - sizes.half_width), min(i, row + sizes.half_width + 1)):
            keep_nearest(nearest, shape_distance(work, work.season_mean, (i, j, lags), nearest[sizes.neighbours - 1]))
            count += 1
    if count < max(sizes.neighbours, 2 * sizes.half_width + 1):
        return math.nan
    return float(np.sqrt(nearest).sum() / sizes.neighbours)


@njit(nogil=True)
def look(work: Work, i: int, learned: Learned, raw: NDArray[np.float64]) -> None:
    """Fill in the raw scores of all views but the forecast's."""
    head, sizes = learned.head, learned.sizes
    raw[:] = math.nan
    value = work.scaled[i]
    if head.young == 0:
        if i >= sizes.start:
            raw[RANGE] = range_score(value, head.highest, head.lowest)
        raw[LEVEL12] = level_score(work.hourly, i, sizes, work.scratch)
        raw[SHIFT] = shift_score(work.scaled, i, sizes.shift_rows, sizes.shift_least)
    head.highest = max(head.highest, value)
    head.lowest = min(head.lowest, value)
    if not sizes.small:
        raw[SHAPE6] = shape_score(work, i, sizes.start, work.scratch)
    if head.period > 0:
        rows = season_rows(work.seconds, i, head.period, sizes)
        raw[SEASON_RESID] = season_resid_score(work, i, rows, learned)
        raw[SEASON_SHAPE] = season_shape_score(work, i, rows, sizes)
