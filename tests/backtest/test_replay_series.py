"""`replay_series`: numbers in, judgements out, row by row; nothing of the future, nothing of the order they came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from anomflow.backtest import replay_series
from anomflow.batches import load_batch
from anomflow.errors import FrameError, RunError, SettingsError
from anomflow.sections.common import CommonSpec
from anomflow.spec import BatchSpec

COLUMNS = ["timestamp", "value", "surprise", "state", "anomaly_score", "alert", "expected_low", "expected_high"]
HOUR = 3600
ROWS = 900
SAID = ["surprise", "state", "anomaly_score", "alert", "expected_low", "expected_high"]


def wave(rows: int = ROWS, seed: int = 1) -> tuple[Any, Any]:
    hours = np.arange(rows)
    noise = np.random.default_rng(seed).normal(0, 2, rows)
    return hours * HOUR, 100 + 20 * np.sin(2 * np.pi * hours / 24) + noise


def test_every_row_gets_what_is_said_about_it():
    seconds, values = wave()
    values[700] += 100
    said = replay_series(seconds, values)
    assert said.columns == COLUMNS
    assert said["value"].to_list() == values.tolist()
    assert (said["timestamp"].dt.epoch("s") == pl.Series(seconds)).all()
    assert said["alert"][700]
    assert said["anomaly_score"][700] > 0.99
    assert said["expected_low"][700] < values[700] - 100 < said["expected_high"][700]
    assert said["surprise"][:20].null_count() == 20
    assert said["surprise"][20:].null_count() == 0
    assert 0 < said["alert"].sum() < 20


@given(cut=st.integers(1, ROWS - 1), seed=st.integers(0, 9))
@settings(max_examples=25)
def test_the_future_changes_no_earlier_row(cut: int, seed: int):
    seconds, values = wave()
    other = np.random.default_rng(seed).normal(0, 1e3, ROWS)
    other[:cut] = values[:cut]
    before, after = replay_series(seconds, values)[:cut], replay_series(seconds, other)[:cut]
    assert_frame_equal(before, after, check_exact=True)
    assert_frame_equal(before, replay_series(seconds[:cut], values[:cut]), check_exact=True)


OTHERS: list[dict[str, Any]] = [{"train_max_n": 100}, {"freq": "4h"}, {"alert_smooth_n": 5}, {"model_configs": [{"model_name": "HBOS"}]}]


@pytest.mark.parametrize("given", OTHERS, ids=str)
def test_the_future_changes_no_earlier_row_under_any_settings(given: dict[str, Any]):
    seconds, values = wave(600)
    cut = 400
    other = np.concatenate([values[:cut], values[cut:] * -3])
    assert_frame_equal(replay_series(seconds, values, given)[:cut], replay_series(seconds, other, given)[:cut], check_exact=True)


def test_the_order_of_rows_changes_their_places_only():
    seconds, values = wave()
    order = np.random.default_rng(3).permutation(ROWS)
    straight, shuffled = replay_series(seconds, values), replay_series(seconds[order], values[order])
    assert_frame_equal(straight[order.tolist()], shuffled, check_exact=True)


def test_of_rows_of_one_time_the_last_is_judged():
    seconds, values = wave()
    twice = replay_series(np.insert(seconds, 500, seconds[500]), np.insert(values, 500, 1e6))
    assert twice[500].select(SAID).rows() == [(None, None, None, False, None, None)]
    assert twice["value"][500] == 1e6
    assert_frame_equal(twice.filter(pl.int_range(pl.len()) != 500), replay_series(seconds, values), check_exact=True)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_has_no_score_and_leaves_the_others_alone(bad: float):
    seconds, values = wave()
    broken = values.copy()
    broken[500] = bad
    said = replay_series(seconds, broken)
    assert said[500].select(SAID).rows() == [(None, None, None, False, None, None)]
    without = replay_series(np.delete(seconds, 500), np.delete(values, 500))
    assert_frame_equal(said.filter(pl.int_range(pl.len()) != 500), without, check_exact=True)


@pytest.mark.parametrize(
    ("seconds", "values"),
    [([], []), ([0], [1.0]), ([5, 5], [1.0, 2.0]), (list(range(19)), [0.0] * 19), (list(range(3)), [float("nan")] * 3)],
    ids=["none", "one", "one twice", "19", "nothing finite"],
)
def test_too_few_rows_have_no_score_and_no_alert(seconds: list[int], values: list[float]):
    said = replay_series(seconds, values)
    assert said.columns == COLUMNS
    assert said.height == len(values)
    assert said["surprise"].null_count() == len(values)
    assert not said["alert"].any()


@pytest.mark.parametrize("value", [0.0, 1.0, -1e300, 1e-300])
def test_a_constant_never_alerts(value: float):
    said = replay_series(np.arange(500) * HOUR, np.full(500, value))
    assert said.height == 500
    assert not said["alert"].any()


@pytest.mark.parametrize(
    ("seconds", "values", "words"),
    [
        ([1, 2], [1.0], "2 seconds and 1 values"),
        ([0.5], [1.0], "whole seconds"),
        ([float("nan")], [1.0], "no time"),
        ([1_700_000_000_000], [1.0], "not milliseconds"),
        (["2026-01-01"], [1.0], "epoch seconds"),
        ([[1]], [1.0], "2 dimensions"),
        ([1], ["many"], "no numbers"),
        ([1], [[1.0]], "2 dimensions"),
    ],
)
def test_what_is_no_series_is_told(seconds: Any, values: Any, words: str):
    with pytest.raises(FrameError, match=words):
        replay_series(seconds, values)


def test_all_wrong_settings_are_told_at_once():
    given = {"alert_treshold": 1, "train_min_n": "many", "freq": "soon", "metric_batch": "x", "model_configs": [{"model_name": "KNNN"}]}
    with pytest.raises(SettingsError) as error:
        replay_series([1], [1.0], given)
    found = str(error.value)
    assert "Did you mean alert_threshold?" in found
    assert all(key in found for key in ("train_min_n", "freq", "metric_batch", "KNNN"))


@pytest.mark.parametrize(
    "given",
    [
        {"alert_threshold": 1e-9, "alert_false_alarms_per_month": 1000},
        {"train_min_n": 1_000_000, "train_max_n": 1_000_000},
        {"train_max_n": 20, "train_min_n": 2},
        {"alert_snooze_n": 10**9, "alert_smooth_n": 1000},
        {"freq": "100000w"},
    ],
)
def test_absurd_settings_have_a_result(given: dict[str, Any]):
    assert replay_series(*wave(300), given).height == 300


def test_settings_may_be_flat_keys_texts_a_spec_or_a_batch(tmp_path):
    seconds, values = wave()
    (tmp_path / "shop.yaml").write_text("metric_batch: shop\ningest_sql: select 1\nalert_threshold: 0.6\n")
    spec = BatchSpec(common=CommonSpec(metric_batch="x"), alert={"alert_threshold": 0.6})
    kinds: list[Any] = [{"alert_threshold": 0.6}, {"alert_threshold": "0.6"}, spec, load_batch(tmp_path, "shop", {})]
    first, *others = [replay_series(seconds, values, kind) for kind in kinds]
    assert first["alert"].sum() > replay_series(seconds, values)["alert"].sum()
    for other in others:
        assert_frame_equal(first, other, check_exact=True)


def test_with_buckets_the_last_row_of_each_is_judged():
    seconds, values = wave()
    said = replay_series(seconds, values, {"freq": "6h", "train_min_n": 20})
    judged = said.with_row_index().filter(pl.col("surprise").is_not_null())["index"]
    assert (judged % 6 == 5).all()
    assert len(judged) == ROWS // 6 - 20 - 1  # the last bucket is not complete before its end has come


def test_a_series_that_the_detector_refuses_is_told():
    hook = "def preprocess(rows, **params):\n    raise ValueError('no such thing')\n"
    with pytest.raises(RunError, match="no such thing"):
        replay_series(*wave(100), {"model_configs": [{"model_name": "HBOS"}], "preprocess_fn": hook})
