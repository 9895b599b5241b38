"""The causal replay: one metric's state advances row by row, with the same bits in one piece, in many, and live."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from anomflow.detectors.kernel_cache import build_kernel
from anomflow.detectors.multiview.calibrator import judge_score, remembered, rounded, upper_quantile
from anomflow.detectors.multiview.forecast import forecast, learn
from anomflow.detectors.multiview.lasting import STATE_COUNT, held, look_for_state, takes_part
from anomflow.detectors.multiview.layout import (
    AR,
    AR_BELOW,
    FIRST_STATE,
    SHAPE6,
    SHARED_WEIGHTS,
    SHIFT,
    STATE_WEIGHTS,
    WEIGHTS,
    Head,
    Learned,
    Output,
    Rows,
    Sizes,
    Work,
)
from anomflow.detectors.multiview.peaks import count_peak, peak_factor
from anomflow.detectors.multiview.seasons import look_at_season
from anomflow.detectors.multiview.stages import build_sizes, build_work, next_stage, open_stage
from anomflow.detectors.multiview.stamp import STAMP
from anomflow.detectors.multiview.views import look

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIEW_COUNT: Final = len(WEIGHTS)
ONE_SIDE: Final = 0.301  # log10 of 2: the better of two sides
START_UP: Final = 5.0
REPEAT: Final = 0.85
BAND: Final = 0.995
FLAT_LEAST: Final = 12
FLAT_AFTER: Final = 300
FLAT_ROWS: Final = 1e5
FLAT_FEW: Final = 20.0


@njit(nogil=True)
def exists(view: int, head: Head, sizes: Sizes) -> bool:
    """Tell whether a view takes part under a stage."""
    if view <= SHIFT:
        return bool(head.young == 0)
    if view == SHAPE6:
        return not sizes.small
    return bool(view == AR or head.period > 0)


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
def combine_state(surprises: NDArray[np.float64], state: NDArray[np.float64], head: Head, sizes: Sizes) -> float:
    """Return the weighted quadratic mean of the surprises of the views of the state score that exist; those it shares come first."""
    total = 0.0
    weight = 0.0
    for view in range(VIEW_COUNT):
        if exists(view, head, sizes):
            total += SHARED_WEIGHTS[view] * surprises[view] * surprises[view]
            weight += SHARED_WEIGHTS[view]
    for view in range(STATE_COUNT):
        if takes_part(view, head, sizes):
            total += STATE_WEIGHTS[view] * state[view] * state[view]
            weight += STATE_WEIGHTS[view]
    return math.sqrt(total / weight)


@njit(nogil=True)
def judge_residual(residual: float, row: int, learned: Learned) -> float:
    """Return the surprise of a forecast's residual, each direction against its own past."""
    if math.isnan(residual):
        return 0.0
    score = rounded(residual)
    above = judge_score(learned, AR, row, score)
    below = judge_score(learned, AR_BELOW, row, -score)
    return max(above - ONE_SIDE, below - ONE_SIDE, 0.0)


@njit(nogil=True)
def judge_row(place: tuple[int, int], work: Work, learned: Learned, said: tuple[NDArray[np.float64], NDArray[np.float64]]) -> float:
    """Fill in the surprise of each view and return the residual of the forecast.

    ``place`` is the row's index in ``work`` and its count since the origin; ``said`` are the surprises of the views of the
    onset score and of those of the state score alone.
    """
    i, row = place
    surprises, state = said
    head, order = learned.head, learned.sizes.order
    look(work, i, learned, surprises)
    look_for_state(work, i, learned, state)
    is_torn = look_at_season(work, i, learned, said)
    for view in range(VIEW_COUNT):
        if view != AR:
            raw = surprises[view]
            surprises[view] = 0.0 if math.isnan(raw) else judge_score(learned, view, row, rounded(raw))
    for view in range(STATE_COUNT):
        raw = state[view]
        state[view] = 0.0 if math.isnan(raw) else judge_score(learned, FIRST_STATE + view, row, rounded(raw))
    expected = forecast(head, work.scaled, i, order)
    residual = math.nan if math.isnan(expected) or is_torn else work.scaled[i] - expected
    surprises[AR] = judge_residual(residual, row, learned)
    if not math.isnan(residual):
        learn((head, order), work.scaled, i, residual)
    return residual


@njit(nogil=True)
def write_expected(out: Output, k: int, expected: float, learned: Learned) -> None:
    """Write the forecast and the band of its remembered residuals, in the metric's own units."""
    head = learned.head
    above = remembered(learned.memory[AR], head.remembered[AR])
    below = remembered(learned.memory[AR_BELOW], head.remembered[AR_BELOW])
    if len(above) < learned.sizes.calibrated or math.isnan(expected):
        return
    low = expected - max(upper_quantile(below, BAND), 0.0)
    high = expected + max(upper_quantile(above, BAND), 0.0)
    out.expected[k] = head.center + head.scale * expected
    out.expected_low[k] = head.center + head.scale * low
    out.expected_high[k] = head.center + head.scale * high


@njit(nogil=True)
def damped(undamped: NDArray[np.float64], j: int, rows: int) -> float:
    """Return a score, lowered unless it is the highest of the last rows: an incident in progress must get worse to alert again."""
    highest = -1.0
    for q in range(max(0, j - rows), j):
        highest = max(highest, undamped[q])
    return float(undamped[j] if undamped[j] > highest else REPEAT * undamped[j])


@njit(nogil=True)
def rare_run(row: int, head: Head) -> int:
    """Return how long a run must be that one in ``FLAT_ROWS`` rows begins, by the mean length of earlier runs as a row meets them.

    A metric that mostly repeats (rare events, a status) has long runs in itself: the longest so far says too little.
    """
    before = row + 1 - head.run
    met = (head.squares + 1.0) / (before + 1.0)
    share = max((met - 1.0) / (met + 1.0), 1.0 / (before + 2.0))
    begun = FLAT_ROWS * (1.0 - share)
    return 2 + int(math.log(begun) / -math.log(share)) if begun > 1.0 else FLAT_LEAST


@njit(nogil=True)
def count_run(values: NDArray[np.float64], i: int, row: int, head: Head) -> int:
    """Count identical values and return how many there are where they first reach the limit, else 0."""
    if i > 0 and values[i] == values[i - 1]:
        head.run += 1
    else:
        head.longest = max(head.longest, head.run)
        head.squares += float(head.run) * head.run
        head.run = 1
        head.starts += 1
    unusual = int((2.0 + FLAT_FEW / head.starts) * head.longest) + 1  # of few runs the longest tells little
    limit = max(FLAT_LEAST, unusual, rare_run(row, head))
    return head.run if head.run == limit and row >= FLAT_AFTER else 0


@njit(nogil=True)
def score_row(place: tuple[int, int, int], work: Work, learned: Learned, out: Output) -> None:
    """Judge a row and write what is known of it.

    ``place`` is the row's index in ``work``, its count since the origin, and its index in ``out``.
    """
    i, row, k = place
    head, sizes = learned.head, learned.sizes
    write_expected(out, k, forecast(head, work.scaled, i, sizes.order), learned)
    state = np.empty(STATE_COUNT)
    out.residual[k] = judge_row((i, row), work, learned, (out.surprises[k], state))
    j = len(out.undamped) - len(out.anomaly) + k
    factor = peak_factor(head, row)
    out.undamped[j] = combine(out.surprises[k], head, sizes) * (row / (row + START_UP)) * factor
    out.anomaly[k] = damped(out.undamped, j, sizes.damping)
    count_peak(head, row, out.anomaly[k] / factor)
    out.step_seconds[k] = head.step
    score = combine_state(out.surprises[k], state, head, sizes)
    out.state[k], head.hold = held((score, head.hold), work.seconds[i] - work.seconds[i - 1])


@njit(nogil=True)
def advance_within(rows: Rows, span: tuple[int, int, bool], heads: Any, memory: NDArray[np.float32], out: Output) -> None:
    """Judge the rows of a span (first, end, whether it opens a stage) under one stage."""
    first, end, opening = span
    head = heads[0]
    if opening:
        open_stage(rows.values[:first], rows.seconds[:first], head)
    if head.stage == 0:
        return
    learned = Learned(head, memory, build_sizes(head))
    work = build_work(rows, end, learned, 0 if opening else first)
    if opening:
        said = np.empty(VIEW_COUNT), np.empty(STATE_COUNT)
        for i in range(first):
            judge_row((i, i), work, learned, said)
    for i in range(first, end):
        score_row((i, rows.base + i, i - rows.kept), work, learned, out)


def _build_replay(stamp: int) -> Any:
    # Numba finds a cached kernel by the file of that kernel alone, so it would run stale code after a change of the
    # files that it calls. A closure's values belong to the key: the stamp of all files makes each version another one.
    @build_kernel
    def replay(rows: Rows, heads: Any, memory: NDArray[np.float32], out: Output) -> None:
        """Advance a state over the new rows."""
        head = heads[0]
        head.kernel = stamp
        total = len(rows.values)
        for i in range(rows.kept, total):
            out.flat_rows[i - rows.kept] = count_run(rows.given, i, rows.base + i, head)
        first = rows.kept
        while first < total:
            opening = next_stage(rows.base + first - 1) == rows.base + first
            end = min(total, first + next_stage(rows.base + first) - rows.base - first)
            advance_within(rows, (first, end, opening), heads, memory, out)
            first = end

    return replay


replay: Final[Any] = _build_replay(STAMP)
