"""From raw scores of estimators to one anomaly score: ranks in the metric's own past, a combination, its rank again."""

from __future__ import annotations

import math
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numba import njit

from anomflow import calibration
from anomflow.calibration import BEND_A, BEND_SLOPE, BEND_SURPRISE, FIRST_A, FIRST_SLOPE, FIRST_SURPRISE
from anomflow.detectors.kernel_cache import build_kernel
from anomflow.detectors.multiview.calibrator import judge_score, rounded
from anomflow.detectors.multiview.lasting import held
from anomflow.detectors.multiview.layout import MEMORY, SMALL
from anomflow.detectors.multiview.replay import count_run, damped
from anomflow.detectors.multiview.stamp import STAMP as MULTIVIEW_STAMP
from anomflow.detectors.pyod_models.layout import CALIBRATOR, EVERY, HEAD, Calibrators, Judging, Rows, Verdict, count_calibrators

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEARNING: Final = (14, 7)  # scores that a calibrator needs, and the least that make its tail, in the first SMALL rows
SETTLED: Final = (50, 20)
YOUNG_ROWS: Final = 2 * EVERY  # as long as estimators get twice as many rows from one fit to the next
MEAN: Final = 1
LEAST: Final = 2
GREATEST: Final = 3


class Limits(NamedTuple):
    """What a calibrator needs, by the names that it is asked for."""

    calibrated: int
    tail: int


class Remembered(NamedTuple):
    """What the calibrators of a metric remember."""

    head: Calibrators
    memory: NDArray[np.float32]
    sizes: Limits


@njit(nogil=True)
def rank_score(learned: Any, which: int, row: int, score: float) -> float:
    """Return the surprise of a score among those remembered, NaN before there are enough; remember it."""
    if math.isnan(score):
        return math.nan
    enough = learned.head.remembered[which] >= learned.sizes.calibrated
    surprise = judge_score(learned, which, row, rounded(score))
    if row < YOUNG_ROWS:
        judge_score(learned, which + len(learned.memory) // 2, row, rounded(score))
    return surprise if enough else math.nan


@njit(nogil=True)
def forget_old(learned: Remembered) -> None:
    """Forget the scores from before the fit before this one: estimators of few rows give higher ones than those to come."""
    head, half = learned.head, len(learned.memory) // 2
    for which in range(half):
        young = which + half
        learned.memory[which, :] = learned.memory[young, :]
        head.remembered[which] = head.remembered[young]
        head.block_open[which] = head.block_open[young]
        head.block_row[which] = head.block_row[young]
        head.block_peak[which] = head.block_peak[young]
        head.remembered[young] = 0
        head.block_open[young] = 0


@njit(nogil=True)
def combine_surprises(surprises: NDArray[np.float64], judging: Judging) -> float:
    """Return the combination of the surprises that are there, NaN where none is."""
    total, weight, least, greatest = 0.0, 0.0, math.inf, -math.inf
    for m in range(len(surprises)):
        if not math.isnan(surprises[m]):
            part = surprises[m] if judging.method == MEAN else surprises[m] * surprises[m]
            total += judging.weights[m] * part
            weight += judging.weights[m]
            least = min(least, surprises[m])
            greatest = max(greatest, surprises[m])
    if weight == 0.0:
        return math.nan
    if judging.method == LEAST:
        return least
    if judging.method == GREATEST:
        return greatest
    return total / weight if judging.method == MEAN else math.sqrt(total / weight)


@njit(nogil=True)
def to_anomaly(surprise: float) -> float:
    """Return the A of a surprise, at least 0: the curve of ``anomflow.calibration``."""
    if surprise < BEND_SURPRISE:
        return max(FIRST_A + (surprise - FIRST_SURPRISE) / FIRST_SLOPE, 0.0)
    return BEND_A + (surprise - BEND_SURPRISE) / BEND_SLOPE


@njit(nogil=True)
def judge_members(learned: Remembered, row: int, surprises: NDArray[np.float64], judging: Judging) -> float:
    """Turn the raw scores of a row into surprises, in place, and return the A of their combination."""
    members = len(surprises)
    for m in range(members):
        surprises[m] = rank_score(learned, m, row, surprises[m])
    surprise = surprises[0]
    if members > 1:
        surprise = rank_score(learned, members, row, combine_surprises(surprises, judging))
    return math.nan if math.isnan(surprise) else to_anomaly(surprise)


def _build_kernel(stamp: int) -> Any:
    # A closure's values belong to the key of numba's cache: see anomflow.detectors.multiview.replay.
    @build_kernel
    def judge(
        rows: Rows,
        heads: Any,
        known: tuple[Calibrators, NDArray[np.float32]],
        judging: Judging,
        verdict: Verdict,
    ) -> None:
        """Judge the newest rows; ``surprises`` of the verdict holds raw scores and gets surprises, NaN where there is none."""
        values, seconds, first = rows
        head = heads[0]
        head.kernel = stamp
        new, grown = len(verdict.anomaly), 0
        for k in range(new):
            row, i, j = first + k, len(values) - new + k, len(verdict.undamped) - new + k
            verdict.flat_rows[k] = count_run(values, i, row, head)
            limits = LEARNING if row < SMALL else SETTLED
            learned = Remembered(known[0], known[1], Limits(limits[0], limits[1]))
            if grown < len(judging.growing) and judging.growing[grown] == row:
                forget_old(learned)
                grown += 1
            anomaly = judge_members(learned, row, verdict.surprises[k], judging)
            verdict.undamped[j] = 0.0 if math.isnan(anomaly) else anomaly
            if not math.isnan(anomaly):
                verdict.anomaly[k] = damped(verdict.undamped, j, judging.damping)
                verdict.state[k], head.hold = held((anomaly, head.hold), seconds[i] - seconds[i - 1])

    return judge


def _stamp() -> int:
    files = (Path(__file__), Path(__file__).with_name("layout.py"), Path(calibration.__file__))
    content = b"\0".join((*(file.read_bytes() for file in files), str(MULTIVIEW_STAMP).encode()))
    return int.from_bytes(blake2b(content, digest_size=7).digest(), "little")


STAMP: Final = _stamp()
judge: Final[Any] = _build_kernel(STAMP)


def unpack_memory(calibrators: Calibrators, remembered: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """Return a buffer for each calibrator with its scores at the end and room for those of ``rows`` rows more."""
    counts = calibrators.remembered
    memory = np.empty((len(counts), min(int(counts.max()) + rows, MEMORY) + 1), np.float32)
    start = 0
    for which, count in enumerate(counts):
        memory[which, memory.shape[1] - count :] = remembered[start : start + count]
        start += count
    return memory


def pack_memory(calibrators: Calibrators, memory: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores of all calibrators, one after the other."""
    return np.concatenate([memory[which, memory.shape[1] - count :] for which, count in enumerate(calibrators.remembered)])


def compile_kernel() -> None:
    """Judge two rows, which compiles the kernel or finds it compiled."""
    verdict = Verdict(np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2, np.int64), np.zeros((2, 2)))
    calibrators = Calibrators.unpack(np.zeros(count_calibrators(2), CALIBRATOR))
    memory = unpack_memory(calibrators, np.empty(0, np.float32), 2)
    judge(
        Rows(np.zeros(2), np.arange(2.0), 0),
        np.zeros(1, HEAD),
        (calibrators, memory),
        Judging(0, np.ones(2), 30, np.zeros(0, np.int64)),
        verdict,
    )
