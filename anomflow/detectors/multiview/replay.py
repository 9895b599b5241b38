"""The causal replay: one metric's state advances row by row, with the same bits in one piece, in many, and live."""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from anomflow.detectors.multiview.calibrator import judge_score, remembered, rounded, upper_quantile
from anomflow.detectors.multiview.forecast import forecast, learn
from anomflow.detectors.multiview.layout import AR, AR_BELOW, SHAPE6, SHIFT, WEIGHTS, Head, Output, Sizes, Work
from anomflow.detectors.multiview.stages import build_sizes, build_work, next_stage, open_stage
from anomflow.detectors.multiview.views import look

VIEW_COUNT: Final = len(WEIGHTS)
ONE_SIDE: Final = 0.301  # log10 of 2: the better of two sides
START_UP: Final = 5.0
REPEAT: Final = 0.85
BAND: Final = 0.995
FLAT_LEAST: Final = 12
FLAT_AFTER: Final = 300


@njit(nogil=True)
def exists(view: int, head: Head, sizes: Sizes) -> bool:
    """Tell whether a view takes part under a stage."""
    if view <= SHIFT:
        return head.young == 0
    if view == SHAPE6:
        return not sizes.small
    return view == AR or head.period > 0


@njit(nogil=True)
def combine(surprises: NDArray[np.float64], head: Head, sizes: Sizes) -> float:
    """Return the weighted quadratic mean of the surprises of the views that exist."""
    total = 0.0
    weight = 0.0
    for view in range(VIEW_COUNT):
        if exists(view, head, sizes):
            total += WEIGHTS[view] * surprises[view] * surprises[view]
            weight += WEIGHTS[view]
    return math.sqrt(total / weight)


@njit(nogil=True)
def judge_residual(residual: float, row: int, head: Head, memory: NDArray[np.float32], sizes: Sizes) -> float:
    """Return the surprise of a forecast's residual, each direction against its own past."""
    if math.isnan(residual):
        return 0.0
    score = rounded(residual)
    above = judge_score(memory[AR], head, AR, row, score, sizes.calibrated, sizes.tail)
    below = judge_score(memory[AR_BELOW], head, AR_BELOW, row, -score, sizes.calibrated, sizes.tail)
    return max(above - ONE_SIDE, below - ONE_SIDE, 0.0)


@njit(nogil=True)
def judge_row(place: tuple[int, int], work: Work, head: Head, memory: NDArray[np.float32], sizes: Sizes, surprises: NDArray[np.float64]) -> float:
    """Fill in the surprise of each view and return the residual of the forecast; ``place``: index in ``work``, row since the origin."""
    i, row = place
    look(work, i, head, sizes, surprises)
    for view in range(VIEW_COUNT):
        if view != AR:
            raw = surprises[view]
            surprises[view] = 0.0 if math.isnan(raw) else judge_score(memory[view], head, view, row, rounded(raw), sizes.calibrated, sizes.tail)
    expected = forecast(head, work.scaled, i, sizes.order)
    residual = math.nan if math.isnan(expected) else work.scaled[i] - expected
    surprises[AR] = judge_residual(residual, row, head, memory, sizes)
    if not math.isnan(residual):
        learn(head, work.scaled, i, sizes.order, residual)
    return residual


@njit(nogil=True)
def write_expected(out: Output, k: int, expected: float, head: Head, memory: NDArray[np.float32], sizes: Sizes) -> None:
    """Write the forecast and the band of its remembered residuals, in the metric's own units."""
    above = remembered(memory[AR], head.remembered[AR])
    below = remembered(memory[AR_BELOW], head.remembered[AR_BELOW])
    if len(above) < sizes.calibrated or math.isnan(expected):
        return
    out.expected[k] = head.center + head.scale * expected
    out.expected_low[k] = head.center + head.scale * (expected - max(upper_quantile(below, BAND), 0.0))
    out.expected_high[k] = head.center + head.scale * (expected + max(upper_quantile(above, BAND), 0.0))


@njit(nogil=True)
def damped(undamped: NDArray[np.float64], j: int, rows: int) -> float:
    """Return a score, lowered unless it is the highest of the last rows: an incident in progress must get worse to alert again."""
    highest = -1.0
    for q in range(max(0, j - rows), j):
        highest = max(highest, undamped[q])
    return undamped[j] if undamped[j] > highest else REPEAT * undamped[j]


@njit(nogil=True)
def count_run(values: NDArray[np.float64], i: int, row: int, head: Head) -> int:
    """Count identical values and return how many there are where they first reach the limit, else 0."""
    if i > 0 and values[i] == values[i - 1]:
        head.run += 1
    else:
        head.longest = max(head.longest, head.run)
        head.run = 1
    limit = max(FLAT_LEAST, 2 * head.longest + 1)
    return head.run if head.run == limit and row >= FLAT_AFTER else 0


@njit(nogil=True)
def score_row(place: tuple[int, int, int], work: Work, head: Head, memory: NDArray[np.float32], sizes: Sizes, out: Output) -> None:
    """Judge a row and write what is known of it; ``place``: index in ``work``, row since the origin, index of the output."""
    i, row, k = place
    write_expected(out, k, forecast(head, work.scaled, i, sizes.order), head, memory, sizes)
    out.residual[k] = judge_row((i, row), work, head, memory, sizes, out.surprises[k])
    j = len(out.undamped) - len(out.anomaly) + k
    out.undamped[j] = combine(out.surprises[k], head, sizes) * (row / (row + START_UP))
    out.anomaly[k] = damped(out.undamped, j, sizes.damping)
    out.step_seconds[k] = head.step


def _build_replay(stamp: int) -> Callable[..., None]:
    # Numba finds a cached kernel by the file of that kernel alone, so it would run stale code after a change of the
    # files that it calls. A closure's values belong to the key: the stamp of all files makes each version another one.
    @njit(cache=True, nogil=True)
    def replay(values: Any, seconds: Any, kept: int, base: int, heads: Any, memory: Any, out: Any) -> None:
        """Advance a state over the rows from ``kept`` on; those before are the kept ones, ``base`` rows lie before them."""
        head = heads[0]
        head.kernel = stamp
        total = len(values)
        scratch = np.empty(VIEW_COUNT)
        for i in range(kept, total):
            out.flat_rows[i - kept] = count_run(values, i, base + i, head)
        start = kept
        while start < total:
            stage = next_stage(base + start - 1) if base == 0 else 0
            opening = stage == start
            end = min(total, next_stage(base + start))
            if opening:
                open_stage(values[:start], seconds[:start], head)
            if head.stage > 0:
                sizes = build_sizes(head)
                work = build_work(values[:end], seconds[:end], head, sizes)
                if opening:
                    for i in range(start):
                        judge_row((i, i), work, head, memory, sizes, scratch)
                for i in range(start, end):
                    score_row((i, base + i, i - kept), work, head, memory, sizes, out)
            start = end

    return replay  # type: ignore[no-any-return]


def _stamp() -> int:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    content = b"\0".join(source.read_bytes() for source in sources)
    return int.from_bytes(blake2b(content, digest_size=7).digest(), "little")


STAMP: Final = _stamp()
replay: Final[Any] = _build_replay(STAMP)
