"""The default detector: several simple views of a metric, each calibrated against its own past, combined in one score.

A view (range, level, shift, forecast, season, shape) gives a row a raw score from rows at or before it. The score's
*surprise* is minus log10 of its tail probability among the scores that the view gave the same metric before, while they
were new. A, the weighted quadratic mean of the surprises of some, rises when something begins; S, that of others, stays high
while it lasts. Everything is causal, and a replay gives the same bits in one piece, in pieces, and row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from anomflow.detectors.floors import find_floors
from anomflow.detectors.multiview.calendar import Calendar, Moved, move_rows
from anomflow.detectors.multiview.layout import CALIBRATORS, DAY, HEAD, MEMORY, RECENT, RING, STAGES, VIEWS, Output, Rows
from anomflow.detectors.multiview.stamp import STAMP
from anomflow.detectors.multiview.words import explain_surprises
from anomflow.detectors.states import Floats, Replay, State, checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

__all__ = ["MultiView"]

_NONE: Final = np.empty(0)

LAYOUT: Final[Mapping[str, np.dtype[Any]]] = {
    "head": HEAD,
    "undamped": np.dtype("<f8"),
    "remembered": np.dtype("<f4"),
    "moved": np.dtype("<f8"),  # by how much the kept rows are, where there are holidays or special days; NaN: like no earlier one
}
_NO_OPTIONS: Final[Mapping[str, Any]] = {}


class MultiView:
    """Judge rows by several views of their past; see ``anomflow.detectors.states.Detector``.

    ``options`` are a time zone, countries and special days (epoch days by name): ``timezone``, ``holidays``, ``special_days``.
    """

    name = "multiview"
    views = VIEWS
    layout = LAYOUT

    def __init__(self, options: Mapping[str, Any] = _NO_OPTIONS) -> None:
        self.calendar = Calendar.from_options(options)

    @property
    def version(self) -> str:
        """Identify the code, and where countries are named their holidays."""
        return f"{STAMP:014x}{self.calendar.version}"

    def check(self, state: State) -> str | None:
        """Say what makes a state unusable, None for a sound one."""
        kept, recent = min(state.rows, RING), min(state.rows, RECENT)
        undamped, remembered = state.memory["undamped"], state.memory["remembered"]
        lengths = (len(state.seconds), len(state.values), len(state.anomalies), len(undamped), len(state.memory["head"]))
        if lengths != (kept, kept, recent, recent, 1) or len(state.memory["moved"]) != (kept if self.calendar.has_days else 0):
            return f"its arrays do not have the lengths that {state.rows} rows leave behind"
        head = state.memory["head"][0]
        counts = head["remembered"]
        if counts.min() < 0 or counts.max() > min(state.rows, MEMORY) or counts.sum() != len(remembered):
            return "its calibrators do not have the lengths that its head tells"
        if head["stage"] != max((stage for stage in STAGES if stage < state.rows), default=0):
            return f"its stage is not that of {state.rows} rows"
        if not 0 <= head["peaks"] <= state.rows:
            return f"it counts {head['peaks']} peaks in {state.rows} rows"
        if head["stage"] > 0 and not (0 < head["step"] < np.inf and 0 < head["scale"] < np.inf and head["period"] in {0.0, DAY, 7 * DAY}):
            return "its scale, step or season is impossible"
        return None

    def advance(self, state: State | None, seconds: Floats, values: Floats) -> tuple[Replay, State]:
        """Judge the rows that follow a state, or the first rows of a metric."""
        from anomflow.detectors.multiview.replay import replay  # noqa: PLC0415 - numba takes a second to import

        if state is None:
            if len(seconds) == 0:
                raise ValueError("a metric without rows has no state; give at least one row")
            state = _build_empty(float(seconds[0]))
        if len(seconds) != len(values):
            raise ValueError(f"{len(seconds)} times and {len(values)} values; give one value for each time")
        _check_order(state, seconds)
        all_seconds, all_values = np.concatenate([state.seconds, seconds]), np.concatenate([state.values, values])
        head, memory = state.memory["head"].copy(), _unpack(state, len(seconds))
        output = _build_output(state, len(seconds))
        kept = len(state.seconds)
        moved = move_rows(self.calendar, all_seconds, all_values, kept)
        moves = np.concatenate([_fill(state.memory["moved"], kept), moved.by])
        unlike = np.isnan(moves)
        offsets = self.calendar.find_offsets(all_seconds)
        seen = all_values + np.where(unlike, 0.0, moves) if self.calendar.has_days else all_values
        replay(Rows(seen, all_seconds, kept, state.rows - kept, all_values, offsets, unlike), head, memory, output)
        floors, head["least"][0] = find_floors(values, float(head["least"][0]))
        after = State(
            rows=state.rows + len(seconds),
            origin=state.origin,
            checkpoint=float(seconds[-1]) if len(seconds) else state.checkpoint,
            checksum=state.checksum_with(seconds, values),
            seconds=all_seconds[-RING:].copy(),
            values=all_values[-RING:].copy(),
            anomalies=np.concatenate([state.anomalies, output.anomaly])[-RECENT:],
            memory={
                "head": head,
                "undamped": output.undamped[-RECENT:].copy(),
                "remembered": _pack(head, memory),
                "moved": moves[-RING:].copy() if self.calendar.has_days else _NONE,
            },
        )
        return _build_replay(output, moved, floors), after

    def explain(self, replay: Replay) -> pl.Series:
        """Say in words which views find each row surprising, null where none does."""
        return explain_surprises(replay)


def _check_order(state: State, seconds: Floats) -> None:
    if len(seconds) and (seconds[0] <= state.checkpoint or not np.all(np.diff(seconds) > 0)):
        raise ValueError("rows must ascend in time and follow those of the state; sort them and drop those that it knows")


def _build_empty(origin: float) -> State:
    none = np.empty(0)
    memory = {"head": np.zeros(1, HEAD), "undamped": none, "remembered": np.empty(0, np.float32), "moved": none}
    return State(0, origin, -np.inf, checksum(none, none), none, none, none, memory)


def _unpack(state: State, rows: int) -> Any:
    counts = state.memory["head"]["remembered"][0]
    most = state.rows if state.rows <= STAGES[-1] else int(counts.max())  # a stage replays, and may remember, every row
    memory = np.empty((CALIBRATORS, min(most + rows, MEMORY) + 1), np.float32)
    start = 0
    for which, count in enumerate(counts):
        memory[which, memory.shape[1] - count :] = state.memory["remembered"][start : start + count]
        start += count
    return memory


def _pack(head: Any, memory: Any) -> Any:
    return np.concatenate([memory[which, memory.shape[1] - count :] for which, count in enumerate(head["remembered"][0])])


def _build_output(state: State, rows: int) -> Output:
    undamped = np.zeros(len(state.anomalies) + rows)
    undamped[: len(state.anomalies)] = state.memory["undamped"]
    return Output(
        undamped=undamped,
        anomaly=np.full(rows, np.nan),
        state=np.full(rows, np.nan),
        expected=np.full(rows, np.nan),
        expected_low=np.full(rows, np.nan),
        expected_high=np.full(rows, np.nan),
        step_seconds=np.full(rows, np.nan),
        flat_rows=np.zeros(rows, np.int64),
        residual=np.full(rows, np.nan),
        surprises=np.zeros((rows, len(VIEWS))),
    )


def _fill(moves: Floats, rows: int) -> Floats:
    return moves if len(moves) == rows else np.zeros(rows)


def _build_replay(output: Output, moved: Moved, floors: Floats) -> Replay:
    # A usual value is expected here; on a day that may lie this much below it, the range is as much wider.
    ranges = (
        output.expected - (moved.low + moved.high) / 2,
        output.expected_low - moved.high,
        output.expected_high - moved.low,
    )
    finite = np.isfinite(output.expected_low) & np.isfinite(output.expected_high)
    expected, low, high = (np.where(finite, np.maximum(part, floors), np.nan) for part in ranges)
    return Replay(
        output.anomaly, output.state, expected, low, high, output.step_seconds, output.flat_rows, output.residual, output.surprises
    )
