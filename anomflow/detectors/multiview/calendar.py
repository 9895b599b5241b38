"""Local time and days unlike others: what the views need to know of them, row by row.

A day's kind is told from its local date: a holiday, a special day by name, or none. A row of such a day is compared with the
rows at its time of day on earlier days of its kind (holidays: on Sundays as well, while few holidays are known). How far those
lay from the usual rows of their own weekday is how far this one may: within that range it is moved to where a usual row of its
weekday would be, a little beyond it keeps its distance, and far beyond it stays where it is. So no view needs to know of
calendars, and the days after see a usual past.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anomflow.detectors.multiview.layout import DAY, RING
from anomflow.holidays import build_country, holidays_between

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOLIDAY: Final = 1
FIRST_SPECIAL: Final = 2
WEEKS: Final = 8  # whose usual rows tell what is usual at a weekday and time
EARLIER: Final = 8  # days of a kind that are looked at
REST_DAYS: Final = 4  # Sundays
FEW: Final = 3  # earlier days of its kind that a day needs for its range to be known
LEAST_USUAL: Final = 2
SPARE: Final = 0.25  # of the range: how far beyond it a row may lie that its kind explains
NEAR: Final = 0.51  # of the time between rows: how far a row may lie from the time that it is looked for at


class Moved(NamedTuple):
    """Rows as the views see them: by how much each is moved (NaN: nothing is known of its kind), the range that its kind allows."""

    by: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Calendar:
    """A time zone, the countries whose holidays count (``DE``, ``DE-BY``), and special days (epoch days) by name."""

    timezone: str = "UTC"
    countries: tuple[str, ...] = ()
    special: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Calendar:
        """Build a calendar from the options of a detector, which are only data."""
        special = tuple((str(name), tuple(int(day) for day in days)) for name, days in sorted(options.get("special_days", {}).items()))
        return cls(str(options.get("timezone", "UTC")), tuple(options.get("holidays", ())), special)

    @property
    def has_days(self) -> bool:
        """Tell whether any day is unlike others."""
        return bool(self.countries or self.special)

    @property
    def version(self) -> str:
        """Name the version of the holidays, which decides what a state learned; empty without."""
        return f" holidays-{version('holidays')}" if self.countries else ""

    def find_offsets(self, seconds: Floats) -> Floats:
        """Return how many seconds local time is ahead of UTC at each time (epoch seconds)."""
        if self.timezone == "UTC":
            return np.zeros(len(seconds))
        times = pl.Series(np.floor(seconds).astype(np.int64) * 1_000_000, dtype=pl.Datetime("us", "UTC"))
        local = times.dt.convert_time_zone(self.timezone).dt.replace_time_zone(None).to_physical()
        return ((local - times.to_physical()).to_numpy() / 1e6).astype(np.float64)

    @cached_property
    def rest_day(self) -> int:
        """Return the day of the week (0: Monday) that holidays are like."""
        return max(build_country(self.countries[0]).weekend, default=6) if self.countries else 6

    def find_days(self, kind: int, first: int, last: int) -> Integers:
        """Return the days (epoch days, ascending) of a kind from ``first`` to ``last``; a holiday on a day of rest is one like others."""
        if kind >= FIRST_SPECIAL:
            of_name = sorted(self.special[kind - FIRST_SPECIAL][1])
            return np.array([day for day in of_name if first <= day <= last], np.int64)
        days = holidays_between(self.countries, first, last)
        special = [day for _, of_name in self.special for day in of_name]
        closed: Integers = days[(_weekday(days) != self.rest_day) & ~np.isin(days, special)]
        return closed

    def find_kinds(self, days: Integers) -> Integers:
        """Return the kind of each local day (epoch days): 0 for a usual one, 1 for a holiday, more for special days by name."""
        kinds = np.zeros(len(days), np.int64)
        if len(days):
            for kind in range(HOLIDAY, FIRST_SPECIAL + len(self.special)):
                kinds[np.isin(days, self.find_days(kind, int(days.min()), int(days.max())))] = kind
        return kinds


def _weekday(days: Integers) -> Integers:
    return (days + 3) % 7  # 1970-01-01 was a Thursday


class _Past:
    """Rows up to a time, looked up by local times; every look-up is bounded by the ring of the row that asks."""

    def __init__(self, calendar: Calendar, rows: tuple[Floats, Floats]) -> None:
        self.calendar = calendar
        self.seconds, self.values = rows
        self.local = self.seconds + calendar.find_offsets(self.seconds)
        self.days = np.floor(self.local / DAY).astype(np.int64)
        self.kinds = calendar.find_kinds(self.days)

    def find(self, local: Floats, asking: Integers, reach: Floats) -> Integers:
        """Return the rows at local times, before those that ask and within ``reach`` seconds; -1 where there is none."""
        utc = local - self.calendar.find_offsets(local)
        utc = local - self.calendar.find_offsets(utc)
        right = np.clip(np.searchsorted(self.seconds, utc), 1, len(self.seconds) - 1)
        left_is_nearer = (utc - self.seconds[right - 1] <= self.seconds[right] - utc) & (right - 1 > asking - RING)
        rows = np.where(left_is_nearer, right - 1, right)
        known = (np.abs(self.seconds[rows] - utc) <= reach) & (rows < asking) & (rows > asking - RING)
        return np.where(known, rows, -1)

    def usual(self, rows: Integers, asking: Integers) -> Floats:
        """Return the median of the usual rows at the weekday and time of rows in the weeks before them; NaN where too few are known."""
        weeks = np.arange(1, WEEKS + 1) * 7 * DAY
        reach = np.repeat(self.reach(rows), WEEKS)
        found = self.find((self.local[rows][:, None] - weeks).ravel(), np.repeat(asking, WEEKS), reach)
        values = np.where((found >= 0) & (self.kinds[found] == 0), self.values[found], np.nan).reshape(len(rows), WEEKS)
        return _medians(values)

    def reach(self, rows: Integers) -> Floats:
        """Return how far from a time a row may lie that is taken for it: half of the time to the row before, half a day at most."""
        return NEAR * np.minimum(self.seconds[rows] - self.seconds[np.maximum(rows - 1, 0)], DAY)


def _medians(values: Floats) -> Floats:
    enough = np.isfinite(values).sum(axis=1) >= LEAST_USUAL
    medians = np.full(len(values), np.nan)
    if enough.any():
        medians[enough] = np.nanmedian(values[enough], axis=1)
    return medians


def move_rows(calendar: Calendar, seconds: Floats, values: Floats, first: int) -> Moved:
    """Return how rows from ``first`` on are moved; each only by rows before it."""
    count = len(seconds) - first
    moved = Moved(np.zeros(count), np.zeros(count), np.zeros(count))
    if not calendar.has_days or len(seconds) < 2:  # noqa: PLR2004 - one row has no row before it
        return moved
    past = _Past(calendar, (seconds, values))
    rows = np.flatnonzero(past.kinds[first:]) + first
    if len(rows):
        usual = past.usual(rows, rows)
        low, high, is_known = _find_range(past, rows, usual)
        by = _find_moves(usual - values[rows], low, high)
        moved.by[rows - first] = np.where(is_known, by, np.nan)
        moved.low[rows - first] = np.where(is_known, low, 0.0)
        moved.high[rows - first] = np.where(is_known, high, 0.0)
    return moved


def _find_moves(distance: Floats, low: Floats, high: Floats) -> Floats:
    """Return by how much rows at a distance from usual ones are moved: as far as is known, not at all where they are far beyond it."""
    moves = np.clip(distance, low, high)
    margin = SPARE * (np.maximum(high, 0.0) - np.minimum(low, 0.0))
    return np.where(np.abs(distance - moves) <= margin, moves, 0.0)


def _find_range(past: _Past, rows: Integers, usual: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the least and the greatest distance of usual rows from those of a kind, and whether any is known."""
    of_kind = _find_like(past, rows)
    few = np.isfinite(of_kind).sum(axis=1) < FEW
    at_rest = np.where((few & (past.kinds[rows] == HOLIDAY))[:, None], _find_rest(past, rows, usual), np.nan)
    # While few are known, the day may turn out to be like any other.
    all_known = np.column_stack([of_kind, at_rest, np.where(few, 0.0, np.nan)])
    is_known = (np.isfinite(all_known[:, :-1]).any(axis=1)) & np.isfinite(usual)
    safe = np.where(is_known[:, None], all_known, 0.0)
    return np.nanmin(safe, axis=1), np.nanmax(safe, axis=1), is_known


def _find_like(past: _Past, rows: Integers) -> Floats:
    """Return how far rows at the same time on earlier days of the same kind lay below what was usual then."""
    earlier = np.full((len(rows), EARLIER), -1, np.int64)
    for kind in np.unique(past.kinds[rows]):
        days = past.calendar.find_days(int(kind), int(past.days[0]), int(past.days[-1]))
        for at in np.flatnonzero(past.kinds[rows] == kind):
            before = days[days < past.days[rows[at]]][-EARLIER:]
            earlier[at, : len(before)] = before
    flat = earlier.ravel()
    asking = np.repeat(rows, EARLIER)
    local = (flat * DAY + np.repeat(past.local[rows] % DAY, EARLIER)).astype(np.float64)
    found = np.where(flat >= 0, past.find(local, asking, np.repeat(past.reach(rows), EARLIER)), -1)
    distance = np.full(len(flat), np.nan)
    known = found >= 0
    distance[known] = past.usual(found[known], asking[known]) - past.values[found[known]]
    return distance.reshape(len(rows), EARLIER)


def _find_rest(past: _Past, rows: Integers, usual: Floats) -> Floats:
    """Return how far rows at the same time on the last days of rest lay below what is usual on the weekday of rows."""
    last = past.days[rows] - (_weekday(past.days[rows]) - past.calendar.rest_day) % 7
    days = (last[:, None] - 7 * np.arange(REST_DAYS)).ravel()
    local = (days * DAY + np.repeat(past.local[rows] % DAY, REST_DAYS)).astype(np.float64)
    found = past.find(local, np.repeat(rows, REST_DAYS), np.repeat(past.reach(rows), REST_DAYS))
    values = np.where(found >= 0, past.values[found], np.nan).reshape(len(rows), REST_DAYS)
    return usual[:, None] - values
