"""The state score: its views, which stay surprised while an incident lasts, and what holds it up for a while."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.courses import course_score
from anomflow.detectors.multiview.layout import (
    LEVEL_EX,
    SEASON,
    SHAPE6X8,
    SHAPE12X6,
    SHAPE24,
    STATE_WEIGHTS,
    VOL,
    VOL_FAST,
    Head,
    Learned,
    Sizes,
    Work,
)
from anomflow.detectors.multiview.nearest import level_score
from anomflow.detectors.multiview.seasons import STILL

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATE_COUNT: Final = len(STATE_WEIGHTS)
VOL_ROWS: Final = (12, 150)
VOL_FAST_ROWS: Final = (6, 60)
HELD: Final = 0.25
HOLD_SECONDS: Final = 60_000.0


@njit(nogil=True)
def mean_step(steps: NDArray[np.float64], end: int, rows: int) -> float:
    """Return the mean of the ``rows`` entries before ``end``."""
    total = 0.0
    for j in range(end - rows, end):
        total += steps[j]
    return total / rows


@njit(nogil=True)
def motion_score(steps: NDArray[np.float64], i: int, rows: tuple[int, int]) -> float:
    """Return how far, on a log scale, the mean step of the newest rows lies from that of the rows before; ``rows`` counts both."""
    newest, before = rows
    if i < newest + before:
        return math.nan
    now = mean_step(steps, i + 1, newest) + STILL
    past = mean_step(steps, i + 1 - newest, before) + STILL
    return abs(math.log(now / past))


@njit(nogil=True)
def look_for_state(work: Work, i: int, learned: Learned, raw: NDArray[np.float64]) -> None:
    """Fill in the raw scores of the views of the state score alone, but those of the season."""
    sizes, courses = learned.sizes, work.courses
    raw[:] = math.nan
    if learned.head.young == 0:
        raw[LEVEL_EX] = level_score(work.level, i, sizes.start, work.scratch)
    raw[SHAPE24] = course_score(courses.fine, i - courses.cut, sizes.start, work.scratch)
    if not sizes.small:
        raw[SHAPE6X8] = course_score(courses.half_hourly, i - courses.cut, sizes.start, work.scratch)
        raw[SHAPE12X6] = course_score(courses.hourly, i - courses.cut, sizes.start, work.scratch)
        raw[VOL] = motion_score(work.steps, i, VOL_ROWS)
        raw[VOL_FAST] = motion_score(work.steps, i, VOL_FAST_ROWS)


@njit(nogil=True)
def takes_part(view: int, head: Head, sizes: Sizes) -> bool:
    """Tell whether a view of the state score alone takes part under a stage."""
    if view == LEVEL_EX:
        return bool(head.young == 0)
    if view == SEASON:
        return bool(head.period > 0)
    if view == SHAPE24:
        return True
    return not sizes.small and (view <= VOL_FAST or bool(head.period > 0))


@njit(nogil=True)
def held(heads: tuple[float, float], elapsed: float) -> tuple[float, float]:
    """Return a state score that sinks slowly after a peak, and the peak as it has decayed; ``heads`` are the score and the earlier peak."""
    score, peak = heads
    peak = max(score, peak * math.exp(-elapsed / HOLD_SECONDS))
    return (1 - HELD) * score + HELD * peak, peak
