"""Events and notifications: what was found, what was told for nothing. No point adjustment anywhere.

An event is a run of label 1, and the rows just behind it still belong to it. It is found where one of its rows alerts and
that row's notification was sent or is within a snooze. A notification outside of events is false. Precision is events
found / (events found + false notifications), recall is events found / events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.corpus import ANOMALOUS, IGNORED, find_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.corpus import Floats, Windows

Rows = NDArray[np.int64]

TOLERANCE: Final = 3
SNOOZE: Final = 10
GRID: Final = 100
GRID_SHARE: Final = 0.05
NORMAL: Final = 0


@dataclass(frozen=True, eq=False)
class Events:
    """The events of one series and the kind of each row (0 normal, 1 of an event, 2 ignored) from its first evaluated row on."""

    runs: Windows
    kinds: NDArray[np.uint8]

    @property
    def evaluated(self) -> int:
        """Return how many rows are not ignored."""
        return int((self.kinds != IGNORED).sum())


@dataclass(frozen=True)
class Count:
    """How many events there are, how many were found, and how many notifications were false."""

    events: int = 0
    found: int = 0
    false: int = 0

    def __add__(self, other: Count) -> Count:
        """Return the sum over both."""
        return Count(self.events + other.events, self.found + other.found, self.false + other.false)

    @property
    def precision(self) -> float:
        """Return the share of what was told that was worth it; 0 where nothing was told."""
        return self.found / max(self.found + self.false, 1)

    @property
    def recall(self) -> float:
        """Return the share of events that was found; 0 where there is none."""
        return self.found / max(self.events, 1)

    @property
    def f1(self) -> float:
        """Return the harmonic mean of both."""
        return 2 * self.found / max(self.events + self.found + self.false, 1)


def find_events(labels: NDArray[np.uint8]) -> Events:
    """Find the events in the labels of the evaluated rows of a series."""
    runs = tuple((first, min(last + TOLERANCE, len(labels) - 1)) for first, last in find_runs(labels == ANOMALOUS))
    kinds = np.where(labels == IGNORED, IGNORED, NORMAL).astype(np.uint8)
    for first, last in runs:
        kinds[first : last + 1] = ANOMALOUS
    return Events(runs, kinds)


def thin(rows: Rows, snooze: int) -> Rows:
    """Return the rows that are told when each silences those less than ``snooze`` rows behind it."""
    told, at = [], 0
    while at < len(rows):
        told.append(rows[at])
        at = int(np.searchsorted(rows, rows[at] + snooze))
    return np.array(told, np.int64)


def count_alerts(events: Events, told: Rows, reached: Rows) -> Count:
    """Count for notifications ``told`` and rows that ``reached`` the threshold; those far from any notification found nothing."""
    behind = np.searchsorted(told, reached)
    padded = np.concatenate([[-np.inf], told, [np.inf]])
    heard = reached[np.minimum(reached - padded[behind], padded[behind + 1] - reached) <= SNOOZE]
    found = sum(bool(((heard >= first) & (heard <= last)).any()) for first, last in events.runs)
    return Count(len(events.runs), found, int((events.kinds[told] == NORMAL).sum()))


def sweep(series: Sequence[tuple[Events, Floats]]) -> list[tuple[float, Count]]:
    """Count at a grid of thresholds, one for all series, from high to low; each silences the rows of a snooze behind it."""
    pooled = np.sort(np.concatenate([scores for _, scores in series]))[::-1]
    ranks = np.unique(np.geomspace(1, max(len(pooled) * GRID_SHARE, 2), GRID).astype(np.int64)) - 1
    thresholds = np.unique(pooled[ranks[ranks < len(pooled)]])[::-1]
    return [(float(threshold), _count_above(series, float(threshold))) for threshold in thresholds]


def _count_above(series: Sequence[tuple[Events, Floats]], threshold: float) -> Count:
    total = Count()
    for events, scores in series:
        reached = np.flatnonzero(scores >= threshold)
        total += count_alerts(events, thin(reached, SNOOZE), reached)
    return total


def poisson_interval(count: int, exposure: float, share: float = 0.95) -> tuple[float, float]:
    """Return the exact interval (Garwood 1936) of a rate, given how many there were in so much exposure."""
    if exposure <= 0:
        return 0.0, float("inf")
    outside = (1 - share) / 2
    low = chi2.ppf(outside, 2 * count) / 2 if count else 0.0
    return float(low) / exposure, float(chi2.ppf(1 - outside, 2 * count + 2) / 2) / exposure
