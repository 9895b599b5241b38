"""How surprising a score is among the scores that the same view of the same metric got before.

A calibrator is a sorted array of single-precision scores. Scores of one incident are remembered once: those above
the 99 % quantile within one block of rows count as their maximum, when the block is over (declustering).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from anomflow.detectors.multiview.layout import MEMORY, SCORE_LIMIT, Learned

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAIL: Final = 0.01
BLOCK: Final = 10
SHAPE_LIMIT: Final = 0.6
SHAPE_TINY: Final = 1e-6
SLACK: Final = 0.3
SURPRISE_LIMIT: Final = 8.0
LN10: Final = 2.302585


@njit(nogil=True)
def rounded(score: float) -> float:
    """Return a score as it is compared and remembered; distances of flat series differ at rounding level only."""
    bounded = min(max(score, -SCORE_LIMIT), SCORE_LIMIT)
    return float(np.float32(np.rint(bounded * 1e9) / 1e9))


@njit(nogil=True)
def tail_rows(count: int, least: int) -> int:
    """Return how many of the highest remembered scores make the tail."""
    return min(max(least, int(TAIL * count)), count - 1)


@njit(nogil=True)
def fit_tail(excesses: NDArray[np.float64], floor: float, beyond: float) -> tuple[float, float]:
    """Fit a generalised Pareto distribution to ascending excesses by probability-weighted moments (Hosking and Wallis 1987).

    Returns shape and scale.
    """
    count = len(excesses)
    mean = 0.0
    weighted = 0.0
    for j in range(count):
        mean += excesses[j]
        weighted += excesses[j] * (count - 1 - j) / (count - 1.0)
    mean /= count
    weighted /= count
    if mean < floor:
        mean = floor
        weighted = mean / 2
    if mean <= 0.0:
        mean = 0.05 * beyond + 1e-300
        weighted = mean / 2
    spread = mean - 2 * weighted
    shape = min(max(2 - mean / spread, 0.0), SHAPE_LIMIT) if spread > 0 else 0.0
    return max(shape, 1.0 / count), mean * (1 - shape)


@njit(nogil=True)
def surprise_of(memory: NDArray[np.float32], score: float, least: int) -> float:
    """Return minus log10 of the probability of a score at least this high: by rank in the body, by the fitted tail above it."""
    count = len(memory)
    tail = tail_rows(count, least)
    edge = float(memory[count - 1 - tail])
    at_least = count - np.searchsorted(memory, np.float32(score))
    if score <= edge:
        return -math.log10((at_least + 1.0) / (count + 1.0))
    excesses = memory[count - tail :].astype(np.float64) - edge
    shape, scale = fit_tail(excesses, 0.02 * (edge - memory[count // 2]), score - edge)
    excess = (score - edge) / scale
    reach = excess if shape < SHAPE_TINY else math.log(1 + shape * excess) / shape
    surprise = reach / LN10 - math.log10((tail + 1.0) / (count + 1.0))
    if at_least > 0:
        surprise = min(surprise, SLACK - math.log10(at_least / (count + 1.0)))
    return min(surprise, SURPRISE_LIMIT)


@njit(nogil=True)
def remembered(buffer: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the ``count`` scores of a buffer, ascending; they lie at its end, since shifting forward compiles to vector code."""
    return buffer[len(buffer) - count :]


@njit(nogil=True)
def insert(buffer: NDArray[np.float32], count: int, score: float) -> int:
    """Insert a score into the sorted end of a buffer and return how many are there now."""
    if count >= MEMORY:
        count = MEMORY // 2
        for j in range(1, count + 1):
            buffer[len(buffer) - j] = buffer[len(buffer) - 2 * j + 1]
    place = np.searchsorted(remembered(buffer, count), np.float32(score))
    target = remembered(buffer, count + 1)
    for j in range(place):
        target[j] = target[j + 1]
    target[place] = score
    return count + 1


@njit(nogil=True)
def judge_score(learned: Learned, which: int, row: int, score: float) -> float:
    """Return the surprise of a score, 0 before enough are remembered; then remember it."""
    head = learned.head
    buffer = learned.memory[which]
    count = head.remembered[which]
    surprise = 0.0
    high = False
    if count >= learned.sizes.calibrated:
        memory = remembered(buffer, count)
        surprise = surprise_of(memory, score, learned.sizes.tail)
        high = score > memory[count - 1 - tail_rows(count, learned.sizes.tail)]
    if head.block_open[which] == 1 and row - head.block_row[which] >= BLOCK:
        count = insert(buffer, count, head.block_peak[which])
        head.block_open[which] = 0
    if not high:
        count = insert(buffer, count, score)
    elif head.block_open[which] == 0:
        head.block_open[which] = 1
        head.block_row[which] = row
        head.block_peak[which] = score
    else:
        head.block_peak[which] = max(head.block_peak[which], score)
    head.remembered[which] = count
    return surprise


@njit(nogil=True)
def upper_quantile(memory: NDArray[np.float32], share: float) -> float:
    """Return the value that a share of the remembered scores lies below."""
    return float(memory[min(len(memory) - 1, int(share * len(memory)))])
