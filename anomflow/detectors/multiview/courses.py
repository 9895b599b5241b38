"""The views that look for a course like that of the last rows among earlier courses, fine and coarse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.layout import Course, Courses, Sizes
from anomflow.detectors.multiview.nearest import FAR, NEIGHBOURS, keep_nearest, trailing_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAST: Final = 2_000  # rows that a course is looked for in
REACH: Final = 4_000  # rows that the past, the lags of its oldest row and their means take, and some more
BLOCK: Final = 128
ROUND: Final = 4  # lags of `add_four`


@njit(nogil=True)
def build_lanes(values: NDArray[np.float64], stride: int) -> NDArray[np.float64]:
    """Return every ``stride``-th value side by side, in as many lanes."""
    lanes = np.zeros((stride, len(values) // stride + 1))
    for i in range(len(values)):
        lanes[i % stride, i // stride] = values[i]
    return lanes


@njit(nogil=True)
def build_course(values: NDArray[np.float64], stride: int, lags: tuple[int, int], gap: int) -> Course:
    """Return rows as courses; ``lags`` are how many and the rows from one to the next."""
    count, lag = lags
    means = np.zeros(len(values))
    reach = (count - 1) * lag
    for q in range(1, count):
        for i in range(reach, len(values)):
            means[i] += values[i - q * lag]
    means /= count - 1
    return Course(build_lanes(values, stride), build_lanes(means, stride), count, lag, gap)


@njit(nogil=True)
def build_courses(scaled: NDArray[np.float64], sizes: Sizes, first: int) -> Courses:
    """Return the rows that the courses of rows from ``first`` on are compared with."""
    cut = max(0, first - REACH)
    rows = scaled[cut:]
    half, hour = sizes.half_hour, sizes.hour
    fine = build_course(rows, 1, (5, 1), 5) if sizes.small else build_course(rows, 2, (24, 1), 12)
    half_hourly = build_course(trailing_mean(rows, 0, half), 2, (8, half), 2 * half)
    return Courses(cut, fine, half_hourly, build_course(trailing_mean(rows, 0, hour), 3, (6, hour), 2 * hour))


@njit(nogil=True)
def lane_of(lanes: NDArray[np.float64], row: int, count: int) -> NDArray[np.float64]:
    """Return ``count`` entries of a lane from a row on."""
    stride = len(lanes)
    return lanes[row % stride, row // stride : row // stride + count]


@njit(nogil=True)
def add_four(course: Course, rows: tuple[int, int], q: int, distances: NDArray[np.float64]) -> None:
    """Add the squared differences at four lags from ``q`` on; together, since memory is slower than arithmetic."""
    row, oldest = rows
    count, lag = len(distances), course.lag
    means, lanes = lane_of(course.means, oldest, count), course.lanes
    mean = lane_of(course.means, row, 1)[0]
    row, oldest = row - q * lag, oldest - q * lag
    now0, now1 = lane_of(lanes, row, 1)[0] - mean, lane_of(lanes, row - lag, 1)[0] - mean
    now2, now3 = lane_of(lanes, row - 2 * lag, 1)[0] - mean, lane_of(lanes, row - 3 * lag, 1)[0] - mean
    past0, past1 = lane_of(lanes, oldest, count), lane_of(lanes, oldest - lag, count)
    past2, past3 = lane_of(lanes, oldest - 2 * lag, count), lane_of(lanes, oldest - 3 * lag, count)
    for k in range(count):
        part0, part1 = now0 - (past0[k] - means[k]), now1 - (past1[k] - means[k])
        part2, part3 = now2 - (past2[k] - means[k]), now3 - (past3[k] - means[k])
        distances[k] = distances[k] + part0 * part0 + part1 * part1 + part2 * part2 + part3 * part3


@njit(nogil=True)
def add_one(course: Course, rows: tuple[int, int], q: int, distances: NDArray[np.float64]) -> None:
    """Add the squared differences at one lag."""
    row, oldest = rows
    means = lane_of(course.means, oldest, len(distances))
    now = lane_of(course.lanes, row - q * course.lag, 1)[0] - lane_of(course.means, row, 1)[0]
    past = lane_of(course.lanes, oldest - q * course.lag, len(distances))
    for k in range(len(distances)):
        part = now - (past[k] - means[k])
        distances[k] += part * part


@njit(nogil=True)
def any_below(distances: NDArray[np.float64], limit: float) -> bool:
    """Tell whether a distance is below a limit; every one is looked at, which compiles to vector code."""
    near = False
    for k in range(len(distances)):
        near |= distances[k] < limit
    return near


@njit(nogil=True)
def measure_block(course: Course, rows: tuple[int, int], limit: float, distances: NDArray[np.float64]) -> bool:
    """Fill in the squared distances of a block of courses and tell whether one is below the limit; if not, they are not complete.

    ``rows`` are the row and the first one of the block; the others follow at the stride of the course.
    """
    distances[:] = 0.0
    q = 0
    while q + ROUND <= course.lags:
        add_four(course, rows, q, distances)
        q += ROUND
        if q % (2 * ROUND) == 0 and not any_below(distances, limit):
            return False
    for rest in range(q, course.lags):
        add_one(course, rows, rest, distances)
    return any_below(distances, limit)


@njit(nogil=True)
def course_score(course: Course, i: int, start: int, scratch: NDArray[np.float64]) -> float:
    """Return the mean distance of a row's course to its three nearest in the past, every ``stride``-th row looked at."""
    stride = len(course.lanes)
    reach = (course.lags - 1) * course.lag
    newest = i - course.gap - 1
    first = max(0, i - PAST)
    if newest + 1 - first < start or i < reach:
        return math.nan
    count = (newest - max(first, reach)) // stride + 1
    if count < NEIGHBOURS:
        return math.nan
    nearest = np.full(NEIGHBOURS, FAR)
    for seen in range(0, count, BLOCK):
        size = min(BLOCK, count - seen)
        distances = scratch[:size]
        if measure_block(course, (i, newest - (seen + size - 1) * stride), nearest[NEIGHBOURS - 1], distances):
            for k in range(size):
                keep_nearest(nearest, distances[k])
    return float(np.sqrt(nearest).sum() / NEIGHBOURS)
