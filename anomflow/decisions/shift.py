"""Shifts: how far the newest level of a metric lies from those just before, a day ago and a week ago, row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from anomflow.sections.alerts import ChangeSpec

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_DAY: Final = 86_400.0
_WEEK: Final = 7 * _DAY
_MONTH: Final = 30 * _DAY
_LEVEL: Final = 20  # rows before the tested ones whose median is the level before
_SCALE: Final = 500  # rows that the usual size of differences is learned from
_FEWEST: Final = 30  # rows that tell it at least
_QUANTILE: Final = 0.95
_RARE: Final = 1.3  # weight of single rows' deviations, which alone tell the size of rare events
_MAD: Final = 0.6745  # the 75 % quantile of a normal distribution, as PyOD rounds it


@dataclass(frozen=True, eq=False)
class Shift:
    """How far each row's newest level lies from the levels before, in thresholds; NaN: not known.

    ``before`` is the level that would be there without a change, at the same time of day or week, ``after`` the one that is;
    ``limit`` is how far apart they may be.
    """

    ratio: Floats
    before: Floats
    after: Floats
    limit: Floats


def measure_shift(seconds: Floats, values: Floats, spec: ChangeSpec) -> Shift:
    """Measure each row's newest level against the levels before, by the method that the settings name."""
    method = _measure_distance if spec.change_method == "mad" else _measure_levels
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return method(seconds, values, spec)


def find_threshold(step: float, false_alarms: float) -> float:
    """Return how many times the usual difference a change must reach, for at most so many false ones in 30 days.

    ``step`` is in seconds. Fitted on simulated series without changes (benchmarks/changes.py): white, autocorrelated,
    heavy-tailed, counted, seasonal.
    """
    rows = _MONTH / max(step, 1.0)
    return 1.5 + 0.7 * math.log10(max(rows / false_alarms, 10.0))


def _measure_levels(seconds: Floats, values: Floats, spec: ChangeSpec) -> Shift:
    """Compare the median of the newest 2n - 1 rows with the levels just before, a day ago and a week ago: the nearest counts."""
    rows = 2 * spec.change_detect_last_n - 1
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    recent = _shift(_rolling_median(values, _LEVEL), rows)
    backs = [_look_back(seconds, back, rows * step) for back in (_DAY, _WEEK) if back >= rows * step]
    levels = _find_levels(values, recent, backs)
    unknown = [_stay_inside(values, level) for level in levels[1:]]
    shifts = [_rolling_median(values - level, rows) for level in levels]
    scale = np.maximum(
        _rolling_quantile(np.abs(_find_nearest(shifts)), rows),
        _RARE * _rolling_deviation(_find_nearest([values - level for level in levels]), rows),
    )
    difference = _find_nearest([*shifts, *(_rolling_median(values - level, rows) for level in unknown)])
    before = _rolling_median(levels[0], rows)
    limit = find_threshold(step, spec.change_false_alarms_per_month) * np.maximum(scale, 1e-9 * np.abs(before))
    return Shift(np.where(difference == 0, 0.0, difference / limit), before, before + difference, limit)


def _find_levels(values: Floats, before: Floats, backs: list[Places]) -> list[Floats]:
    """Return what each row may be compared with: the level before with the course of a day (else a week) ago, and each of the backs."""
    backs_then = [_take(values, places) for places in backs]
    adjusted = before
    for places, then in zip(reversed(backs), reversed(backs_then), strict=True):
        course = then + before - _take(before, places)
        adjusted = np.where(np.isnan(course), adjusted, course)
    return [adjusted, *backs_then]


def _measure_distance(_seconds: Floats, values: Floats, spec: ChangeSpec) -> Shift:
    """Measure the distance of the newest n rows from the median of all rows before them: PyOD's MAD, asked of each of them."""
    rows = spec.change_detect_last_n
    before, scale = _expanding_mad(values, rows)
    newest = np.stack([_MAD * (_shift(values, back) - before) / scale for back in range(rows)])
    low, high = newest.min(axis=0), newest.max(axis=0)
    ratio = np.where(low > 0, low, np.where(high < 0, high, 0.0)) / spec.change_threshold
    return Shift(np.where(np.isnan(low), np.nan, ratio), before, _rolling_median(values, rows), spec.change_threshold * scale / _MAD)


def _expanding_mad(values: Floats, rows: int) -> tuple[Floats, Floats]:
    """Return the median and the median absolute deviation of all rows but the newest ``rows``, of each row."""
    centre, scale = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for row in range(_FEWEST + rows - 1, len(values)):
        past = values[: row + 1 - rows]
        centre[row] = np.median(past)
        scale[row] = np.median(np.abs(past - centre[row]))
    return centre, scale


def _find_nearest(shifts: list[Floats]) -> Floats:
    """Return the signed distance from the nearest level, 0 between levels; NaN where the first level is not known."""
    distances = np.stack(shifts)
    known = np.where(np.isnan(distances), np.inf, distances)
    low, high = known.min(axis=0), np.where(np.isnan(distances), -np.inf, distances).max(axis=0)
    nearest = np.where(low > 0, low, np.where(high < 0, high, 0.0))
    return np.where(np.isnan(distances[0]), np.nan, nearest)


def _look_back(seconds: Floats, back: float, tolerance: float) -> Places:
    """Return the place of the row at a time before each row, -1 where none is near."""
    wanted = seconds - back
    after = np.clip(np.searchsorted(seconds, wanted), 0, len(seconds) - 1)
    earlier = np.clip(after - 1, 0, None)
    places = np.where(np.abs(seconds[earlier] - wanted) < np.abs(seconds[after] - wanted), earlier, after)
    return np.where(np.abs(seconds[places] - wanted) <= tolerance, places, -1)


def _take(values: Floats, places: Places) -> Floats:
    return np.where(places >= 0, values[places], np.nan)


def _stay_inside(values: Floats, level: Floats) -> Floats:
    """Where a level is not known, return the nearest value that the rows before had: what they had may be the course of a week."""
    lowest = _shift(np.minimum.accumulate(np.where(np.isnan(values), np.inf, values)), _LEVEL)
    highest = _shift(np.maximum.accumulate(np.where(np.isnan(values), -np.inf, values)), _LEVEL)
    return np.where(np.isnan(level), np.clip(values, lowest, highest), np.nan)


def _shift(values: Floats, rows: int) -> Floats:
    shifted = np.full(len(values), np.nan)
    shifted[rows:] = values[: max(len(values) - rows, 0)]
    return shifted


def _rolling_median(values: Floats, rows: int) -> Floats:
    return pl.Series(values).fill_nan(None).rolling_median(rows).cast(pl.Float64).fill_null(math.nan).to_numpy()


def _rolling_quantile(values: Floats, gap: int) -> Floats:
    known = pl.Series(_shift(values, gap)).fill_nan(None)
    found = known.rolling_quantile(_QUANTILE, "nearest", window_size=_SCALE, min_samples=_FEWEST)
    return found.cast(pl.Float64).fill_null(math.nan).to_numpy()


def _rolling_deviation(values: Floats, gap: int) -> Floats:
    known = pl.Series(_shift(values, gap)).fill_nan(None)
    found = (known * known).rolling_mean(_SCALE, min_samples=_FEWEST).clip(0.0).sqrt()
    return found.cast(pl.Float64).fill_null(math.nan).to_numpy()
