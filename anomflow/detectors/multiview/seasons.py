"""The views that compare a row with the rows at the same phase of earlier seasons."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.layout import RING, SEASON, SEASON_RESID, SEASON_SHAPE, SHAPE6, VOL_SEASON, Learned, Sizes, Work
from anomflow.detectors.multiview.nearest import FAR, keep_nearest
from anomflow.detectors.multiview.stages import MOTION_ROWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREND_RATE: Final = 0.05
SHAPE_LAGS: Final = 6  # of a season of many rows
LEVEL_LAGS: Final = 3
STILL: Final = 0.02  # a step of the scale that counts as none


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
def season_rows(work: Work, i: int, period: float, sizes: Sizes) -> NDArray[np.int64]:
    """Return the rows of earlier cycles at the phase of row ``i`` in local time, newest cycle first; -1 where there is none."""
    seconds, offsets = work.seconds, work.offsets
    rows = np.empty(sizes.cycles, np.int64)
    for c in range(sizes.cycles):
        target = seconds[i] - (c + 1) * period
        rows[c] = row_at(seconds, i, target, period * 0.02)
        if rows[c] >= 0 and offsets[rows[c]] != offsets[i]:
            rows[c] = row_at(seconds, i, target + offsets[i] - offsets[rows[c]], period * 0.02)
    return rows


@njit(nogil=True)
def crosses_gap(seconds: NDArray[np.float64], i: int, rows: NDArray[np.int64]) -> bool:
    """Tell whether the last rows span more than 1.5 times what as many spanned at this phase of any earlier season.

    Such a course is torn: it is like none because rows are missing in it.
    """
    oldest = max(0, i - RING + 1) + SHAPE_LAGS - 1
    if i < oldest:
        return False
    span = seconds[i] - seconds[i - SHAPE_LAGS + 1]
    found = False
    for row in rows:
        if row >= oldest:
            found = True
            if 1.5 * (seconds[row] - seconds[row - SHAPE_LAGS + 1]) >= span:
                return False
    return found


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
def pool_rows(i: int, rows: NDArray[np.int64], oldest: int, sizes: Sizes) -> NDArray[np.int64]:
    """Return the rows from ``oldest`` on about those at the same phase; none where they are too few."""
    pool = np.empty(len(rows) * (2 * sizes.half_width + 1), np.int64)
    count = 0
    for row in rows:
        if row < 0:
            continue
        for j in range(max(oldest, row - sizes.half_width), min(i, row + sizes.half_width + 1)):
            pool[count] = j
            count += 1
    return pool[:count] if count >= max(sizes.neighbours, 2 * sizes.half_width + 1) else pool[:0]


@njit(nogil=True)
def season_shape_score(work: Work, i: int, rows: NDArray[np.int64], sizes: Sizes) -> float:
    """Return the mean distance of the centred last rows to the nearest of the pool of rows at the same phase."""
    pool = pool_rows(i, rows, max(0, i - RING + 1) + sizes.shape - 1, sizes)
    if i < sizes.shape - 1 or len(pool) == 0:
        return math.nan
    nearest = np.full(sizes.neighbours, FAR)
    for j in pool:
        keep_nearest(nearest, shape_distance(work, work.season_mean, (i, j, sizes.shape), nearest[sizes.neighbours - 1]))
    return float(np.sqrt(nearest).sum() / sizes.neighbours)


@njit(nogil=True)
def season_level_score(work: Work, i: int, rows: NDArray[np.int64], sizes: Sizes) -> float:
    """Return the mean distance of the last rows themselves to the nearest of the pool of rows at the same phase."""
    lags = LEVEL_LAGS if sizes.shape == SHAPE_LAGS else 1
    pool = pool_rows(i, rows, max(0, i - RING + 1) + lags - 1, sizes)
    if i < lags - 1 or len(pool) == 0:
        return math.nan
    nearest = np.full(sizes.neighbours, FAR)
    for j in pool:
        distance = 0.0
        for q in range(lags):
            part = work.scaled[i - q] - work.scaled[j - q]
            distance += part * part
        keep_nearest(nearest, distance)
    return float(np.sqrt(nearest).sum() / sizes.neighbours)


@njit(nogil=True)
def season_motion_score(work: Work, i: int, rows: NDArray[np.int64], sizes: Sizes) -> float:
    """Return how far, on a log scale, the mean step of the last rows lies from the nearest of the pool at the same phase."""
    # The step to the first row of the ring is not known.
    pool = pool_rows(i, rows, max(0, i - RING + 1 + MOTION_ROWS), sizes)
    if len(pool) == 0:
        return math.nan
    now = work.motion[i] + STILL
    nearest = np.full(sizes.neighbours, FAR)
    for j in pool:
        past = work.motion[j] + STILL
        keep_nearest(nearest, max(now, past) / min(now, past))
    return float(np.log(nearest).sum() / sizes.neighbours)


@njit(nogil=True)
def look_at_season(work: Work, i: int, learned: Learned, raws: tuple[NDArray[np.float64], NDArray[np.float64]]) -> bool:
    """Fill in the raw scores of the views that compare with earlier seasons: those of the onset score, those of the state score.

    Returns whether the course of the last rows is torn; views that compare courses then have nothing to say.
    """
    head, sizes = learned.head, learned.sizes
    if head.period <= 0 or work.unlike[i]:
        return False
    raw, state_raw = raws
    rows = season_rows(work, i, head.period, sizes)
    raw[SEASON_RESID] = season_resid_score(work, i, rows, learned)
    if crosses_gap(work.seconds, i, rows):
        raw[SHAPE6] = math.nan
        return True
    raw[SEASON_SHAPE] = season_shape_score(work, i, rows, sizes)
    state_raw[SEASON] = season_level_score(work, i, rows, sizes)
    if not sizes.small:
        state_raw[VOL_SEASON] = season_motion_score(work, i, rows, sizes)
    return False
