"""Areas under precision-recall curves: the plain one, and the volume over tolerant labels (VUS-PR, Paparrizos et al. 2022).

VUS-PR is computed as TSB-AD does: labels fade out around each event over half a window, a share of events that is touched
at all multiplies recall, precision is averaged over recall, and all that over windows from 0 to the series' own period.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpus import find_runs

if TYPE_CHECKING:
    from benchmarks.corpus import Floats, Windows

THRESHOLDS: Final = 250
DEFAULT_WINDOW: Final = 125
LONGEST_WINDOW: Final = 300
LONGEST_LAG: Final = 400
SHORTEST_LAG: Final = 3
PERIOD_ROWS: Final = 20_000


def auc_pr(labels: NDArray[np.bool_], scores: Floats) -> float:
    """Return the average precision, NaN where no row is anomalous; rows of one score are taken together."""
    if not labels.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    is_last = np.append(scores[order][1:] != scores[order][:-1], True)
    found, told = np.cumsum(labels[order])[is_last], np.flatnonzero(is_last) + 1
    return float(np.sum(np.diff(found / labels.sum(), prepend=0.0) * found / told))


def find_period(values: Floats) -> int:
    """Return the lag of the highest local maximum of the autocorrelation plus 3 (TSB-AD's choice of window), 125 where none fits."""
    known = values[np.isfinite(values)][:PERIOD_ROWS]
    if len(known) < 2 * SHORTEST_LAG:
        return DEFAULT_WINDOW
    centred = known - known.mean()
    spectrum = np.fft.rfft(centred, 2 ** int(np.ceil(np.log2(2 * len(centred)))))
    lags = np.fft.irfft(spectrum * np.conj(spectrum))[SHORTEST_LAG : min(LONGEST_LAG, len(known) - 1) + 1]
    peaks = np.flatnonzero((lags[1:-1] > lags[:-2]) & (lags[1:-1] > lags[2:])) + 1
    if not centred.any() or len(peaks) == 0:
        return DEFAULT_WINDOW
    best = int(peaks[np.argmax(lags[peaks])])
    return best + SHORTEST_LAG if SHORTEST_LAG <= best <= LONGEST_WINDOW else DEFAULT_WINDOW


def vus_pr(labels: NDArray[np.bool_], scores: Floats, widest: int) -> float:
    """Return VUS-PR over windows of 0 to ``widest`` rows, NaN where no row is anomalous."""
    runs = find_runs(labels)
    if not runs:
        return float("nan")
    ranked = np.sort(scores)[::-1]
    thresholds = ranked[np.linspace(0, len(ranked) - 1, THRESHOLDS).astype(np.int64)]
    near = np.zeros(len(labels), np.bool_)
    for first, last in merge(runs, widest, len(labels)):
        near[first : last + 1] = True
    rows = np.flatnonzero(near)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    told = _count_at(ranked, thresholds)
    reached = _count_at(scores[rows], thresholds)
    inside = np.concatenate([[0], np.cumsum(labels[rows])])[reached]
    areas = []
    for window in range(widest + 1):
        faded = np.where(labels, 0.0, fade(runs, window, len(labels)))[rows]
        around = np.concatenate([[0.0], np.cumsum(faded)])[reached]
        highest = np.sort([scores[first : last + 1].max() for first, last in merge(runs, window, len(labels))])[::-1]
        touched = _count_at(highest, thresholds) / len(highest)
        recall = np.minimum((inside + around) / ((2 * labels.sum() + around) / 2), 1.0) * touched
        areas.append(np.sum(np.diff(recall, prepend=0.0) * (inside + around) / told))
    return float(np.mean(areas))


def merge(runs: Windows, window: int, rows: int) -> Windows:
    """Return the runs widened by half a window on either side; those that meet become one."""
    half, merged = window // 2, [(max(runs[0][0] - window // 2, 0), runs[0][1])]
    for first, last in runs[1:]:
        if merged[-1][1] + half < first - half:
            merged[-1] = (merged[-1][0], merged[-1][1] + half)
            merged.append((first - half, last))
        else:
            merged[-1] = (merged[-1][0], last)
    return (*merged[:-1], (merged[-1][0], min(merged[-1][1] + half, rows - 1)))


def fade(runs: Windows, window: int, rows: int) -> Floats:
    """Return labels that fade out over half a window around each run."""
    soft = np.zeros(rows)
    for first, last in runs:
        soft[first : last + 1] += 1
        behind = np.arange(last + 1, min(last + window // 2 + 1, rows))
        ahead = np.arange(max(first - window // 2, 0), first)
        soft[behind] += np.sqrt(1 - (behind - last) / max(window, 1))
        soft[ahead] += np.sqrt(1 - (first - ahead) / max(window, 1))
    return np.minimum(soft, 1.0)


def _count_at(descending: Floats, thresholds: Floats) -> NDArray[np.int64]:
    """Return how many entries reach each threshold."""
    return len(descending) - np.searchsorted(descending[::-1], thresholds, side="left")
