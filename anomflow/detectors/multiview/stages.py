"""What the first rows of a metric tell about it: scale, step, season, and the sizes of the views that follow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.courses import build_courses
from anomflow.detectors.multiview.forecast import reset_forecast
from anomflow.detectors.multiview.layout import (
    AR_ORDER,
    CALIBRATORS,
    DAY,
    LIMIT,
    RAW_LIMIT,
    RECENT,
    RING,
    SMALL,
    STAGES,
    Head,
    Learned,
    Rows,
    Sizes,
    Work,
)
from anomflow.detectors.multiview.nearest import build_level, trailing_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOUR: Final = 3600.0
DAILY_UP_TO: Final = 6 * HOUR
WEEKLY_UP_TO: Final = 2 * DAY
USUAL_STEP: Final = 60.0
DAMPING_SECONDS: Final = 9000.0
DAMPING_ROWS: Final = 30
FINE_SEASON: Final = 96
COARSE_SEASON: Final = 24
SHORT_SEASON: Final = 12
MOTION_ROWS: Final = 12
LEVEL_ROWS: Final = 10_000
SHIFT_ROWS: Final = 160


@njit(nogil=True)
def next_stage(rows: int) -> int:
    """Return the first stage beyond a count of rows; a number that no series reaches after the last."""
    for stage in STAGES:
        if stage > rows:
            return stage
    return 1 << 62


@njit(nogil=True)
def bounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values whose differences are finite."""
    return np.minimum(np.maximum(values, -RAW_LIMIT), RAW_LIMIT)


@njit(nogil=True)
def median(values: NDArray[np.float64]) -> float:
    """Return the median, without overflow."""
    ordered = np.sort(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return float(ordered[middle])
    return float(0.5 * ordered[middle - 1] + 0.5 * ordered[middle])


@njit(nogil=True)
def fit_scale(values: NDArray[np.float64], head: Head) -> None:
    """Take center and scale from the median and the MAD; a constant gets one percent of its size."""
    rows = bounded(values)
    center = median(rows)
    distances = np.abs(rows - center)
    scale = median(distances) * 1.4826
    largest = distances.max()
    if scale <= 0 and largest > 0:
        shares = (rows - center) / largest
        scale = math.sqrt(max(np.mean(shares * shares) - np.mean(shares) ** 2, 0.0)) * largest
    if scale <= 0:
        scale = max(1e-9, abs(center) * 0.01)
    head.center = center
    head.scale = scale


@njit(nogil=True)
def fit_time(seconds: NDArray[np.float64], head: Head) -> None:
    """Take the step from the median of the positive ones, and the season from the step."""
    steps = np.diff(seconds)
    steps = steps[steps > 0]
    step = median(steps) if len(steps) > 0 else USUAL_STEP
    period = DAY if step <= DAILY_UP_TO else 7 * DAY if step <= WEEKLY_UP_TO else 0.0
    if period > step * RING:
        period = 0.0  # not one cycle is remembered
    young = period > 0 and len(seconds) < SMALL and seconds[-1] - seconds[0] < 1.5 * period
    head.step = step
    head.young = 1 if young else 0
    head.period = 0.0 if young else period


@njit(nogil=True)
def open_stage(values: NDArray[np.float64], seconds: NDArray[np.float64], head: Head) -> None:
    """Estimate scale and time anew from all rows so far, and forget everything that was learned under the old scale."""
    fit_scale(values, head)
    fit_time(seconds, head)
    head.stage = len(values)
    head.highest = -np.inf
    head.lowest = np.inf
    head.trend = 0.0
    reset_forecast(head)
    for c in range(CALIBRATORS):
        head.remembered[c] = 0
        head.block_open[c] = 0
        head.block_row[c] = 0
        head.block_peak[c] = 0.0


@njit(nogil=True)
def build_sizes(head: Head) -> Sizes:
    """Return the sizes of the views under a stage."""
    small = head.stage < SMALL
    season = head.period / head.step
    return Sizes(
        small=small,
        start=15 if small else 100,
        hour=int(min(max(np.rint(HOUR / head.step), 1.0), 5.0 if small else 120.0)),
        shift_rows=5 if small else 20,
        shift_least=15 if small else 80,
        order=2 if small else AR_ORDER,
        cycles=7 if head.period == DAY else 8,
        half_width=int(season // 48) if season >= FINE_SEASON else 1 if season >= COARSE_SEASON else 0,
        neighbours=1 + int(season // 96),
        shape=6 if season >= SHORT_SEASON else 3,
        calibrated=14 if small else 50,
        tail=7 if small else 20,
        damping=int(min(max(DAMPING_ROWS, DAMPING_SECONDS / head.step), RECENT)),
        half_hour=int(min(max(np.rint(HOUR / 2 / head.step), 1.0), 3.0 if small else 60.0)),
        season_gap=min(int(min(max(season // 4, 3.0), 72.0)) if season > 0 else 10, 5 if small else 72),
    )


@njit(nogil=True)
def build_work(rows: Rows, end: int, learned: Learned, first: int) -> Work:
    """Return the rows before ``end`` under the scale of a stage; those from ``first`` on are to be judged."""
    head, sizes = learned.head, learned.sizes
    scaled = np.minimum(np.maximum((bounded(rows.values[:end]) - head.center) / head.scale, -LIMIT), LIMIT)
    steps = np.zeros(len(scaled))
    steps[1:] = np.abs(np.diff(scaled))
    lag_mean = trailing_mean(scaled, 1, 5)
    return Work(
        scaled=scaled,
        hourly=build_level(trailing_mean(scaled, 0, sizes.hour), (sizes.hour, LEVEL_ROWS), first),
        level=build_level(scaled, (sizes.season_gap, LEVEL_ROWS), first),
        recent=build_level(scaled, (sizes.shift_rows, SHIFT_ROWS), first),
        lag_mean=lag_mean,
        season_mean=lag_mean if sizes.shape == 6 else trailing_mean(scaled, 1, sizes.shape - 1),  # noqa: PLR2004 - the lags of lag_mean
        steps=steps,
        motion=trailing_mean(steps, 0, MOTION_ROWS),
        courses=build_courses(scaled, sizes, first),
        seconds=rows.seconds[:end],
        offsets=rows.offsets[:end],
        unlike=rows.unlike[:end],
        scratch=np.empty(len(scaled)),
    )
