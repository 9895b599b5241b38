"""The scoring of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015), as its sweeper does it.

The first alert in a window earns the more, the earlier it comes; each alert row outside costs, the more the further it lies
behind the last window; a window without alert costs. One threshold serves the whole corpus and is the best there is. A
score is 0 for a detector that never alerts and 100 for a perfect one. Since each alert row of an incident costs again, the
score is also told with a snooze: after an alert, so many rows of its series are silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.events import thin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.corpus import Floats, Windows

SNOOZE: Final = 50
FAR_BEHIND: Final = 3.0
STEEPNESS: Final = 5.0
GRID: Final = 150
GRID_SHARE: Final = 0.03


@dataclass(frozen=True)
class Profile:
    """What an alert outside of windows and a missed window cost; a found window is worth 1."""

    false_positive: float
    false_negative: float


PROFILES: Final[Mapping[str, Profile]] = {"standard": Profile(0.11, 1.0), "low_fp": Profile(0.22, 1.0), "low_fn": Profile(0.11, 2.0)}


@dataclass(frozen=True, eq=False)
class Scored:
    """One series: a score for each row (the higher, the more anomalous), its windows, and the first row that counts."""

    scores: Floats
    windows: Windows
    first: int


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a corpus that count: what an alert there is worth before weights, and the number of its window (-1: none)."""

    worth: Floats
    window: NDArray[np.int64]
    windows: int  # of the corpus, those before the first row that counts included

    def weigh(self, profile: Profile) -> Floats:
        """Return what an alert of each row adds to the score of a corpus."""
        return np.where(self.window >= 0, self.worth / _fall(np.array(-1.0)), self.worth * profile.false_positive)

    def normalise(self, raw: float, profile: Profile) -> float:
        """Return a raw score on the scale from a silent detector (0) to a perfect one (100)."""
        silent = -profile.false_negative * len(np.unique(self.window[self.window >= 0]))
        return 100 * (raw - silent) / (self.windows - silent) if self.windows else float("nan")


def score_nab(corpus: Sequence[Scored]) -> dict[str, float]:
    """Return the score of each profile at the threshold that is best for it."""
    rows = _collect(corpus)
    scores = np.concatenate([series.scores[series.first :] for series in corpus])
    order = np.argsort(-scores, kind="stable")
    is_last = np.append(scores[order][1:] != scores[order][:-1], True)
    return {name: rows.normalise(_sweep(rows, order, is_last, profile), profile) for name, profile in PROFILES.items()}


def score_nab_snoozed(corpus: Sequence[Scored], snooze: int = SNOOZE) -> dict[str, float]:
    """Return the score of each profile at its best threshold where an alert silences the next ``snooze`` - 1 rows of its series."""
    rows = _collect(corpus)
    scores = np.concatenate([series.scores[series.first :] for series in corpus])
    offsets = np.cumsum([0, *(len(series.scores) - series.first for series in corpus)])
    best = dict.fromkeys(PROFILES, 0.0)
    for threshold in _build_grid(scores):
        above = np.flatnonzero(scores >= threshold)
        cuts = np.searchsorted(above, offsets)
        alerts = np.concatenate([thin(above[start:end], snooze) for start, end in pairwise(cuts)])
        for name, score in _score(rows, alerts).items():
            best[name] = max(best[name], score)
    return best


def score_alerts(corpus: Sequence[Scored], alerts: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    """Return the score of each profile for alerts as they are: rows of each series."""
    offsets = np.cumsum([0, *(len(series.scores) - series.first for series in corpus)])
    counted = [
        offset + told[told >= series.first] - series.first for series, told, offset in zip(corpus, alerts, offsets[:-1], strict=True)
    ]
    return _score(_collect(corpus), np.concatenate(counted).astype(np.int64))


def _score(rows: _Rows, alerts: NDArray[np.int64]) -> dict[str, float]:
    told = rows.window[alerts]
    results = {}
    for name, profile in PROFILES.items():
        worth = rows.weigh(profile)[alerts]
        found = np.full(rows.windows, -profile.false_negative)
        np.maximum.at(found, told[told >= 0], worth[told >= 0])
        present = np.unique(rows.window[rows.window >= 0])
        results[name] = rows.normalise(float(worth[told < 0].sum() + found[present].sum()), profile)
    return results


def _sweep(rows: _Rows, order: NDArray[np.int64], is_last: NDArray[np.bool_], profile: Profile) -> float:
    """Return the best raw score over all thresholds: rows join the alerts from the highest score to the lowest."""
    adds, window = rows.weigh(profile)[order], rows.window[order]
    total = 0.0
    for which in np.unique(window[window >= 0]):
        inside = window == which
        adds[inside] = np.diff(np.maximum.accumulate(np.concatenate([[-profile.false_negative], adds[inside]])))
        total -= profile.false_negative
    return max(total, float((total + np.cumsum(adds))[is_last].max()))


def _collect(corpus: Sequence[Scored]) -> _Rows:
    worths, windows, known = [], [], 0
    for series in corpus:
        worth, window = find_worth(len(series.scores), series.windows)
        worths.append(worth[series.first :])
        windows.append(np.where(window >= 0, window + known, -1)[series.first :])
        known += len(series.windows)
    return _Rows(np.concatenate(worths), np.concatenate(windows), known)


def find_worth(rows: int, windows: Windows) -> tuple[Floats, NDArray[np.int64]]:
    """Return what an alert of each row is worth before weights, and which window it lies in (-1: none)."""
    worth, window = np.full(rows, -1.0), np.full(rows, -1)
    for which, (first, last) in enumerate(windows):
        width = last - first + 1
        behind = np.arange(last + 1, rows)
        worth[behind] = _fall((behind - last) / max(width - 1, 1))
        inside = np.arange(first, last + 1)
        worth[inside], window[inside] = _fall(-(last - inside + 1) / width), which
    return worth, window


def _fall(position: Floats) -> Floats:
    """Fall from nearly 1 at -1 (a window's start) over 0 (its end) to -1."""
    return np.where(position > FAR_BEHIND, -1.0, 2 / (1 + np.exp(STEEPNESS * np.minimum(position, FAR_BEHIND))) - 1)


def _build_grid(scores: Floats) -> Floats:
    high = np.sort(scores)[::-1]
    ranks = np.unique(np.geomspace(1, max(len(high) * GRID_SHARE, 1), GRID).astype(np.int64)) - 1
    return np.unique(high[ranks])
