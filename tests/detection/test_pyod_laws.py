"""Models of PyOD judge as every detector does: one replay, pieces and live scoring agree bit for bit, and nothing looks ahead."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from detection.pyod_settings import detector_of, options_of
from hypothesis import given, settings
from hypothesis import strategies as st

from anomflow.calibration import threshold
from anomflow.detectors import Detector, Replay, State, build_detector
from anomflow.detectors.pyod_models.estimators import dump_estimators, load_estimators, pickle_estimators
from anomflow.detectors.pyod_models.layout import METHODS, Judging
from anomflow.detectors.pyod_models.ranking import combine_surprises
from anomflow.errors import ModelError, PreprocessError
from anomflow.model_bytes import dump, load, object_name
from anomflow.models import FittedModel

PAIR = ("PCA", "KNN")
HOOK = """
def preprocess(rows, **_):
    value = rows["metric_value"]
    return rows.select("metric_timestamp").with_columns(level=value.ewm_mean(alpha=0.3), change=value.diff())
"""


def bits(replay: Replay) -> dict[str, bytes]:
    return {field.name: getattr(replay, field.name).tobytes() for field in fields(replay)}


def through_store(options: Any, state: State) -> State:
    content = dump(FittedModel("pyod", {}, "f", {}, {"m": state}, options))
    return load(content, object_name(content)).states["m"]


def advance_in_pieces(detector: Detector, series: Any, cuts: Any, options: Any) -> tuple[Replay, State]:
    state, parts = None, []
    for start, end in zip([0, *cuts], [*cuts, len(series)], strict=True):
        part, state = detector.advance(state, series.seconds[start:end], series.values[start:end])
        state = through_store(options, state)
        parts.append(part)
    return Replay.join(parts), state


def state_bytes(options: Any, state: State) -> bytes:
    return dump(FittedModel("pyod", {}, "f", {}, {"m": state}, options))


KINDS = [
    (PAIR, {}),
    (("IForest",), {"model_max_n": 100}),
    (("ECOD",), {"model_max_n": 100}),
    (("KNN",), {"hook": HOOK}),
    (("OCSVM", "HBOS", "LOF"), {"model_combination_method": "max"}),
]


@pytest.mark.parametrize(("models", "given"), KINDS)
def test_pieces_give_the_bits_of_one_replay(models: Any, given: Any, make: Any) -> None:
    series, options = make(420, 3600.0), options_of(*models, **given)
    detector = detector_of(*models, **given)
    whole, last = detector.advance(None, series.seconds, series.values)
    cuts = [1, 5, 23, 24, 25, 47, 48, 49, 50, 100, 191, 192, 193, 300, *range(380, 420, 3)]
    pieces, last_of_pieces = advance_in_pieces(detector, series, cuts, options)

    assert np.isfinite(whole.anomaly[100:]).all()
    assert bits(pieces) == bits(whole)
    assert state_bytes(options, last_of_pieces) == state_bytes(options, last)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 2799), max_size=5, unique=True).map(sorted))
def test_pieces_agree_where_old_rows_leave_the_fits(cuts: Any, make: Any) -> None:
    series, options = make(2800, 300.0), options_of("PCA", model_max_n=200)
    detector = detector_of("PCA", model_max_n=200)
    whole, last = detector.advance(None, series.seconds, series.values)
    pieces, last_of_pieces = advance_in_pieces(detector, series, cuts, options)

    assert bits(pieces) == bits(whole)
    assert state_bytes(options, last_of_pieces) == state_bytes(options, last)


@pytest.mark.parametrize("models", [PAIR, ("ECOD",)])
@pytest.mark.parametrize("now", [60, 97, 250])
def test_another_future_leaves_past_scores_bit_identical(models: Any, now: int, make: Any) -> None:
    series, detector = make(300, 3600.0), detector_of(*models)
    other = series.values.copy()
    other[now:] = np.random.RandomState(now).normal(size=len(other) - now) * 1e3
    past, changed = (detector.advance(None, series.seconds, values)[0] for values in (series.values, other))

    for field in fields(past):
        assert getattr(past, field.name)[:now].tobytes() == getattr(changed, field.name)[:now].tobytes()


SPIKES = [("KNN",), ("PCA",), ("LOF",), PAIR]


@pytest.mark.parametrize("models", SPIKES)
def test_a_spike_exceeds_the_threshold_of_two_false_alarms_a_month(models: Any) -> None:
    values = np.random.RandomState(5).normal(size=600)
    values[500] += 12
    replay, _ = detector_of(*models).advance(None, 1.7e9 + 3600.0 * np.arange(600), values)

    assert np.nanargmax(replay.anomaly) in range(500, 510)
    assert np.nanmax(replay.anomaly) > threshold(3600.0, 2.0)
    assert (replay.anomaly[56:] >= 0).all()
    assert (replay.anomaly[56:] < 9).all()


def test_few_rows_get_no_score() -> None:
    replay, _ = detector_of("KNN").advance(None, 1.7e9 + 60.0 * np.arange(60), np.random.RandomState(1).normal(size=60))

    assert np.flatnonzero(np.isfinite(replay.anomaly))[0] == 24 + 14


def test_the_state_is_the_anomaly_before_damping_held_up_for_hours(make: Any) -> None:
    series = make(400, 3600.0)
    replay, last = detector_of("KNN").advance(None, series.seconds, series.values)
    known = np.isfinite(replay.anomaly)
    before, peaks = last.memory["undamped"][known], [0.0]
    for score in before:
        peaks.append(max(score, peaks[-1] * np.exp(-3600 / 60_000)))

    assert known.sum() > 300
    assert np.array_equal(np.isfinite(replay.state), known)
    assert replay.state[known] == pytest.approx(0.75 * before + 0.25 * np.array(peaks[1:]))


def test_a_flat_line_is_seen_as_by_the_default_detector(make: Any) -> None:
    series = make(500, 3600.0)
    values = series.values.copy()
    values[400:] = values[400]
    replay, _ = detector_of("KNN").advance(None, series.seconds, values)

    assert replay.flat_rows.nonzero()[0].tolist() == [411]


def test_the_expected_range_holds_nearly_all_rows_and_not_a_spike(make: Any) -> None:
    series = make(900, 3600.0)
    replay, _ = detector_of("PCA").advance(None, series.seconds, series.values)
    inside = (series.values >= replay.expected_low) & (series.values <= replay.expected_high)

    assert inside[100:].mean() > 0.97
    assert not inside[600]
    assert series.values[600] > replay.expected[600]
    assert np.isnan(replay.expected[:24]).all()


def test_a_metric_that_was_never_negative_is_never_expected_to_be(make: Any) -> None:
    counts = np.random.RandomState(0).poisson(2.0, 400).astype(float)
    lows = [detector_of("KNN").advance(None, make(400, 3600.0).seconds, counts - less)[0].expected_low[100:] for less in (0, 3)]

    assert np.min(lows[0]) == 0.0
    assert np.min(lows[1]) < -3.0


@pytest.mark.parametrize("values", [[1e308, -1e308] * 40, [5.0] * 80, [1.0, 2.0, 3.0]])
def test_the_expected_range_of_odd_rows_is_finite_or_none(values: list[float]) -> None:
    replay, _ = detector_of("KNN").advance(None, 1.7e9 + 60.0 * np.arange(len(values)), np.array(values))

    assert not np.isinf(np.stack([replay.expected, replay.expected_low, replay.expected_high])).any()
    assert (np.isnan(replay.expected) == np.isnan(replay.expected_high)).all()


@pytest.mark.parametrize(("method", "combined"), [("min", 1.0), ("mean", 7 / 3), ("quadratic", np.sqrt(19 / 3)), ("max", 3.0)])
def test_methods_combine_the_surprises_that_are_there(method: str, combined: float) -> None:
    judging = Judging(METHODS.index(method), np.array([1.0, 2.0, 1.0]), 30, np.zeros(0, np.int64))

    assert combine_surprises(np.array([1.0, 3.0, np.nan]), judging) == pytest.approx(combined)
    assert np.isnan(combine_surprises(np.full(3, np.nan), judging))


def test_parameters_that_a_model_refuses_are_told(make: Any) -> None:
    series, options = make(100, 60.0), options_of("KNN")
    options["spec"]["model_configs"][0]["model_params"] = {"metric": "no such metric"}
    with pytest.raises(ModelError, match="KNN cannot be fitted on 88 rows: InvalidParameterError: The 'metric' parameter"):
        build_detector("pyod", options).advance(None, series.seconds, series.values)


@pytest.mark.parametrize("store", [pickle_estimators, dump_estimators])
def test_an_estimator_that_cannot_be_pickled_is_told(store: Any) -> None:
    with pytest.raises(ModelError, match=r"KNN or PCA cannot be stored: .* Name another model"):
        store([lambda: 0, 1], ["KNN", "PCA"])


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x04K\x01.", dump_estimators([], [])[:-5]])
def test_bytes_that_are_no_estimators_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="Train again"):
        load_estimators(content)


def test_a_hook_that_looks_ahead_fails_its_metric(make: Any) -> None:
    series = make(100, 60.0)
    hook = "def preprocess(rows, **_): return rows.with_columns(rows['metric_value'].shift(-1))"
    with pytest.raises(PreprocessError, match="looks ahead"):
        detector_of("KNN", hook=hook).advance(None, series.seconds, series.values)


def test_estimators_of_other_libraries_are_refused_before_they_judge(make: Any) -> None:
    series, detector = make(100, 60.0), detector_of("KNN")
    _, state = detector.advance(None, series.seconds[:90], series.values[:90])
    old = state.memory["estimators"].tobytes().replace(sklearn.__version__.encode(), b"0" * len(sklearn.__version__))
    memory = {**state.memory, "estimators": np.frombuffer(old, np.uint8)}
    aged = State(**{**{field.name: getattr(state, field.name) for field in fields(state)}, "memory": memory})
    with pytest.raises(ModelError, match=r"sklearn.*Train again"):
        detector.advance(aged, series.seconds[90:], series.values[90:])


def test_estimators_are_opened_only_for_metrics_with_new_rows(make: Any) -> None:
    series, detector, options = make(100, 60.0), detector_of("KNN"), options_of("KNN")
    _, state = detector.advance(None, series.seconds[:90], series.values[:90])
    memory = {**state.memory, "estimators": np.frombuffer(b"nothing that can be unpickled", np.uint8)}
    junk = through_store(options, State(**{**{field.name: getattr(state, field.name) for field in fields(state)}, "memory": memory}))
    _, same = detector.advance(junk, series.seconds[:0], series.values[:0])

    assert same.rows == 90
    with pytest.raises(ModelError, match="Train again"):
        detector.advance(junk, series.seconds[90:], series.values[90:])


FRESH = """
import json, sys
import numpy as np
from hashlib import sha256
from anomflow.detectors import build_detector
from anomflow.model_bytes import dump
from anomflow.models import FittedModel
options = json.loads(sys.argv[1])
values = np.frombuffer(sys.stdin.buffer.read())
replay, state = build_detector("pyod", options).advance(None, 1.7e9 + 300.0 * np.arange(len(values)), values)
print(sha256(replay.anomaly.tobytes() + dump(FittedModel("pyod", {}, "f", {}, {"m": state}, options))).hexdigest())
"""


@pytest.mark.parametrize("models", [PAIR, ("IForest",)])
def test_another_process_gets_the_same_bits(models: Any, make: Any) -> None:
    series, options = make(120, 300.0), options_of(*models)
    replay, state = detector_of(*models).advance(None, 1.7e9 + 300.0 * np.arange(120), series.values)
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH, json.dumps(options)],
        input=series.values.tobytes(),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "PYTHONHASHSEED": "7"},
    )
    expected = hashlib.sha256(replay.anomaly.tobytes() + state_bytes(options, state)).hexdigest()

    assert fresh.stdout.decode().strip() == expected


def test_the_global_generators_are_left_as_they_were(make: Any) -> None:
    series = make(60, 300.0)
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002 - the one that libraries draw from
    detector_of("IForest").advance(None, series.seconds, series.values)

    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002 - as above
