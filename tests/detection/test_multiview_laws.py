"""What must hold for every series: one replay, pieces and live scoring agree bit for bit, and nothing looks ahead."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomflow.detectors import Replay, State, build_detector
from anomflow.detectors.states import checksum
from anomflow.model_bytes import dump, load, object_name
from anomflow.models import FittedModel

DETECTOR = build_detector()


def bits(replay: Any) -> dict[str, bytes]:
    return {field.name: getattr(replay, field.name).tobytes() for field in fields(replay)}


def state_bytes(state: Any) -> bytes:
    return dump(FittedModel("multiview", {}, "f", {}, {"m": state}))


def through_store(state: Any) -> State:
    content = state_bytes(state)
    return load(content, object_name(content)).states["m"]


def advance_in_pieces(series: Any, cuts: Any, between: Any = lambda state: state) -> tuple[Replay, State]:
    state, parts = None, []
    for start, end in zip([0, *cuts], [*cuts, len(series)], strict=True):
        part, state = DETECTOR.advance(state, series.seconds[start:end], series.values[start:end])
        state = between(state)
        parts.append(part)
    return Replay.join(parts), state


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, 1499), max_size=6, unique=True).map(sorted), step=st.sampled_from([60.0, 3600.0, 86_400.0]))
def test_pieces_give_the_bits_of_one_replay(cuts: Any, step: float, make: Any) -> None:
    series = make(1500, step)
    whole, last = DETECTOR.advance(None, series.seconds, series.values)
    pieces, last_of_pieces = advance_in_pieces(series, cuts, between=through_store)
    assert bits(pieces) == bits(whole)
    assert state_bytes(last_of_pieces) == state_bytes(last)


def test_row_by_row_gives_the_bits_of_one_replay_from_the_first_row_on(make: Any) -> None:
    series = make(1400, 900.0)
    whole, last = DETECTOR.advance(None, series.seconds, series.values)
    pieces, last_of_pieces = advance_in_pieces(series, range(1, len(series)))
    assert bits(pieces) == bits(whole)
    assert state_bytes(last_of_pieces) == state_bytes(last)


@pytest.mark.parametrize("step", [60.0, 300.0])
def test_pieces_agree_where_the_oldest_rows_were_forgotten(make: Any, step: float) -> None:
    series = make(14_000, step)
    whole, last = DETECTOR.advance(None, series.seconds, series.values)
    pieces, last_of_pieces = advance_in_pieces(series, [11_999, 12_000, 12_001, 13_000, *range(13_960, 14_000)])
    assert bits(pieces) == bits(whole)
    assert state_bytes(last_of_pieces) == state_bytes(last)
    assert len(last.seconds) < len(series)


@settings(max_examples=20)
@given(
    values=st.lists(st.sampled_from([0.0, 1.0, -3.5, 1e-300, 1e308, -1e308]) | st.floats(-1e9, 1e9), min_size=25, max_size=160),
    gaps=st.lists(st.sampled_from([1e-6, 1.0, 60.0, 3600.0, 86_400.0, 4e6]), min_size=160, max_size=160),
    cut=st.integers(1, 24),
)
def test_any_finite_values_at_any_times_give_finite_scores_that_do_not_depend_on_a_cut(
    values: list[float], gaps: list[float], cut: int, make: Any
) -> None:
    seconds = np.unique(1.6e9 + np.cumsum(gaps[: len(values)]))
    series = type(make(2, 1.0))(seconds, np.array(values[: len(seconds)]))
    whole, _ = DETECTOR.advance(None, series.seconds, series.values)
    assert np.isfinite(whole.anomaly[20:]).all()
    assert ((whole.anomaly[20:] >= 0) & (whole.anomaly[20:] <= 8)).all()
    assert not np.isinf(whole.expected_high).any()
    assert bits(advance_in_pieces(series, [cut])[0]) == bits(whole)


@settings(max_examples=15)
@given(now=st.integers(20, 1400), future=st.integers(0, 2**32 - 1))
def test_another_future_leaves_past_scores_bit_identical(now: int, future: int, make: Any) -> None:
    series = make(1500, 300.0)
    other = series.values.copy()
    other[now:] = np.random.RandomState(future).normal(size=len(other) - now) * 1e3
    past, changed = (DETECTOR.advance(None, series.seconds, values)[0] for values in (series.values, other))
    for field in fields(past):
        assert getattr(past, field.name)[:now].tobytes() == getattr(changed, field.name)[:now].tobytes()


def test_pieces_agree_where_scores_were_forgotten(make: Any) -> None:
    series = make(42_000, 300.0)
    whole, last = DETECTOR.advance(None, series.seconds, series.values)
    pieces, last_of_pieces = advance_in_pieces(series, [39_000, 41_000, 41_999])
    assert bits(pieces) == bits(whole)
    assert state_bytes(last_of_pieces) == state_bytes(last)
    assert last.memory["head"]["remembered"].max() < 40_000
    assert np.isfinite(whole.anomaly[20:]).all()


def test_the_state_given_stays_as_it_is(five_minutes: Any) -> None:
    _, state = DETECTOR.advance(None, five_minutes.seconds[:2000], five_minutes.values[:2000])
    before = state_bytes(state)
    DETECTOR.advance(state, five_minutes.seconds[2000:], five_minutes.values[2000:])
    assert state_bytes(state) == before


def test_no_new_rows_leave_the_same_state(five_minutes: Any) -> None:
    _, state = DETECTOR.advance(None, five_minutes.seconds, five_minutes.values)
    replay, same = DETECTOR.advance(state, five_minutes.seconds[:0], five_minutes.values[:0])
    assert len(replay.anomaly) == 0
    assert state_bytes(same) == state_bytes(state)


@pytest.mark.parametrize("rows", [slice(1, 2), slice(0, 1), slice(None, None, -1)])
def test_rows_that_do_not_follow_the_state_are_refused(five_minutes: Any, rows: slice) -> None:
    _, state = DETECTOR.advance(None, five_minutes.seconds[:2], five_minutes.values[:2])
    with pytest.raises(ValueError, match="ascend"):
        DETECTOR.advance(state, five_minutes.seconds[rows], five_minutes.values[rows])


@pytest.mark.parametrize("values", [0, 4, 6])
def test_times_and_values_of_different_lengths_are_refused(values: int) -> None:
    with pytest.raises(ValueError, match="one value for each time"):
        DETECTOR.advance(None, np.arange(5.0), np.zeros(values))


def test_a_metric_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        DETECTOR.advance(None, np.empty(0), np.empty(0))


def test_the_checksum_of_pieces_is_that_of_the_whole(five_minutes: Any) -> None:
    _, state = DETECTOR.advance(None, five_minutes.seconds[:70], five_minutes.values[:70])
    whole = checksum(five_minutes.seconds, five_minutes.values)
    assert state.checksum_with(five_minutes.seconds[70:], five_minutes.values[70:]) == whole
    changed = five_minutes.values.copy()
    changed[1000] = np.nextafter(changed[1000], 0)
    assert checksum(five_minutes.seconds, changed) != whole


FRESH = """
import sys
import numpy as np
from hashlib import sha256
from anomflow.detectors import build_detector
from anomflow.detectors.multiview.replay import replay
from anomflow.detectors.compile import compile_kernels
compile_kernels()
values = np.frombuffer(sys.stdin.buffer.read())
seconds = 1.7e9 + 300.0 * np.arange(len(values))
result, state = build_detector().advance(None, seconds, values)
build_detector().advance(state, seconds[-1:] + 300, values[-1:])
print(sum(replay.stats.cache_misses.values()), len(replay.signatures), sha256(result.anomaly.tobytes()).hexdigest())
"""


def test_a_fresh_process_compiles_nothing_and_gets_the_same_bits(five_minutes: Any) -> None:
    seconds = 1.7e9 + 300.0 * np.arange(len(five_minutes))
    here, _ = DETECTOR.advance(None, seconds, five_minutes.values)
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH],
        input=five_minutes.values.tobytes(),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert fresh.stdout.decode().split() == ["0", "1", sha256(here.anomaly.tobytes()).hexdigest()]
