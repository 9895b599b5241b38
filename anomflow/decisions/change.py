"""Changes: a metric's level is another one than just before, a day ago and a week ago, in several rows in a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anomflow.decisions.candidate import CHANGE, Candidate, find_max_age
from anomflow.decisions.names import is_selected
from anomflow.decisions.shift import Shift, measure_shift
from anomflow.series import to_timestamps
from anomflow.wording import choose_digits, render_number

if TYPE_CHECKING:
    from anomflow.sections.alerts import ChangeSpec
    from anomflow.series import SeriesBatch

Floats = NDArray[np.float64]

_DAY: Final = 86_400.0
_CONTEXT: Final = 8 * _DAY  # what a row is compared with: a week and the rows around
_DISPROVED: Final = 0.7  # a recorded change is withdrawn below this share of the threshold: not for a rounding of its scale


@dataclass(frozen=True)
class Window:
    """The rows that are judged: from ``since`` on (UTC); how old an alert may be where a person said so."""

    since: datetime
    max_age: timedelta | None = None


def find_changes_of_level(series: SeriesBatch, spec: ChangeSpec, window: Window) -> tuple[pl.DataFrame, tuple[Candidate, ...]]:
    """Return the rows of which no change can be told any more, and a candidate at the first row that shows each change.

    A row is judged by rows up to it only, so that what later rows bring moves no change. Rows that nearly show one are in
    neither part: a change that is recorded stays until values are corrected.
    """
    calm, candidates = [], []
    for name, seconds, values in series:
        if not is_selected(name, spec.change_include_metrics, spec.change_exclude_metrics):
            continue
        step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
        shift = measure_shift(seconds, values, spec)
        is_judged = seconds >= max(window.since.timestamp(), _find_start(seconds, step))
        calm.append(_build_calm(name, seconds[is_judged & ~(np.abs(shift.ratio) >= _DISPROVED)]))
        firsts = find_firsts(np.abs(shift.ratio) >= 1.0, spec.change_snooze_n + 2 * spec.change_detect_last_n)
        place = _Place(name, seconds, values, spec.change_snooze_n, find_max_age(window.max_age, step))
        candidates += [_build(place, int(row), shift) for row in firsts if is_judged[row]]
    empty = pl.DataFrame(schema={"metric_name": pl.String, "metric_timestamp": pl.Datetime("us", "UTC")})
    return pl.concat([empty, *calm]), tuple(candidates)


def _find_start(seconds: Floats, step: float) -> float:
    """Return from when on a row's own past is in what was read: a week, or half of it where less is there."""
    if not len(seconds) or step >= _DAY:
        return -math.inf
    span = float(seconds[-1] - seconds[0])
    return float(seconds[0]) + (_CONTEXT if span >= _CONTEXT else span / 2)


def find_firsts(is_changed: NDArray[np.bool_], quiet: int) -> NDArray[np.int64]:
    """Return the rows that show a change, without those that follow another such row within ``quiet`` rows: the same change goes on."""
    rows = np.flatnonzero(is_changed)
    return rows[np.diff(rows, prepend=-quiet - 1) > quiet]


@dataclass(frozen=True, eq=False)
class _Place:
    """The rows of the metric that a change lies in, how many rows a snooze reaches, and how old it may be."""

    name: str
    seconds: Floats
    values: Floats
    snooze_n: int
    max_age: timedelta

    def time(self, row: int) -> datetime:
        return datetime.fromtimestamp(float(self.seconds[row]), UTC)


def _build_calm(name: str, seconds: Floats) -> pl.DataFrame:
    return pl.DataFrame(
        {"metric_name": [name] * len(seconds), "metric_timestamp": to_timestamps(seconds)}, schema_overrides={"metric_name": pl.String}
    )


def _build(place: _Place, row: int, shift: Shift) -> Candidate:
    before, after, limit = (float(of_rows[row]) for of_rows in (shift.before, shift.after, shift.limit))
    digits = choose_digits(before, after)
    first, last = row - place.snooze_n, row + place.snooze_n
    return Candidate(
        metric_name=place.name,
        kind=CHANGE,
        metric_timestamp=to_timestamps(place.seconds[row : row + 1])[0],
        metric_value=after,
        expected_low=before - limit,
        expected_high=before + limit,
        anomaly_score=None,
        surprise=None,
        reason=f"the level changed from {render_number(before, digits)} to {render_number(after, digits)}",
        max_age=place.max_age,
        snooze_from=place.time(first) if first >= 0 else None,
        snooze_until=place.time(last) if last < len(place.seconds) else None,
    )
