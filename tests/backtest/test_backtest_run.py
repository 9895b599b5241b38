"""A backtest of rows: rates, injected anomalies, failures, periods, comparisons; the same from any number of processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anomflow.backtest.rates import find_rate
from anomflow.backtest.run import Backtest, Options, run_backtest
from anomflow.backtest.settings import build_batch
from anomflow.backtest.shapes import SHAPES, Stretch, find_noise, inject
from anomflow.backtest.summary import compare, find_course, sum_up
from anomflow.backtest.words import describe_both, describe_summary, order_alerts, render_rate
from tests.world import START, series

END = datetime(2027, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def replay(rows: pl.DataFrame, settings: dict[str, Any] | None = None, **options: Any) -> Backtest:
    return run_backtest(rows, build_batch(settings), Options(END, **options))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return pl.concat([series("orders", 1500, [1000, 1200]), series("visits", 1500, [1100], seed=2)])


@pytest.fixture(scope="module")
def whole(rows) -> Backtest:
    return replay(rows, trials=6)


def test_what_is_far_outside_alerts_once(whole):
    assert whole.opened.filter(metric_name="orders", metric_timestamp=START + HOUR * 1000)["kind"].to_list() == ["anomaly"]
    summary = sum_up(whole)
    assert (summary.metrics, summary.rows, summary.scored) == (2, 3000, 2960)
    assert summary.a_week.count == whole.opened.height == whole.alerts.height - summary.snoozed
    assert summary.a_week.value == pytest.approx(whole.opened.height / ((1499 - 20) / 168))
    assert summary.a_metric_month.exposure == pytest.approx(2 * (1499 - 20) / 720)
    assert summary.asked == 2.0


def test_several_processes_say_the_same(rows, whole):
    other = replay(rows, trials=6, processes=2)
    for part in ("scores", "alerts", "trials", "metrics"):
        assert getattr(other, part).equals(getattr(whole, part)), part
    assert (other.failed, other.since, other.until) == (whole.failed, whole.since, whole.until)


def test_progress_goes_from_nothing_to_all(rows):
    told: list[float] = []
    run_backtest(rows, build_batch(), Options(END, trials=0), told.append)
    assert told == [0.5, 1.0]


def test_every_shape_is_tried_as_often_as_asked_and_most_are_found(whole):
    trials = sum_up(whole).trials
    assert dict(trials.select("shape", "trials").rows()) == dict.fromkeys(SHAPES, 6)
    assert (trials["found"] >= 3).all()
    assert (whole.trials["metric_timestamp"] >= START + HOUR * 750).all()
    found = whole.trials.drop_nulls("delay_rows")
    assert found["delay_rows"].is_between(0, 23).all()
    assert (found["delay_seconds"] == found["delay_rows"] * 3600).all()


def test_a_metric_is_tried_in_the_same_way_whoever_its_neighbours_are(rows, whole):
    alone = replay(rows.filter(metric_name="orders"), trials=3)
    assert alone.trials.equals(whole.trials.filter(metric_name="orders"))


def test_metrics_that_never_alert_are_not_tried(rows):
    assert set(replay(rows, {"alert_exclude_metrics": ["orders"]}, trials=2).trials["metric_name"]) == {"visits"}


def test_metrics_that_are_not_scored_are_left_out(rows):
    left = replay(rows, {"score_exclude_metrics": ["orders"]}, trials=0)
    assert set(left.scores["metric_name"]) == set(left.metrics["metric_name"]) == {"visits"}


def test_a_period_shows_the_alerts_of_its_days_and_no_others(rows, whole):
    recent = replay(rows, days=15, trials=0)
    begin = START + HOUR * 1499 - timedelta(days=15)
    assert recent.since == begin
    assert recent.alerts.equals(whole.alerts.filter(pl.col("metric_timestamp") >= begin))
    assert 0 < recent.opened.height < whole.opened.height
    assert sum_up(recent).a_week.exposure == pytest.approx(15 / 7)
    assert replay(rows, days=100_000, trials=0).since == START


def test_two_settings_are_compared_alert_by_alert(rows, whole):
    loud = replay(rows, {"alert_threshold": 0.5}, trials=6)
    found = compare(whole, loud)
    assert found.appear.height > 0
    assert found.appear.height + found.stay.height == loud.opened.height
    assert found.go.height + found.stay.height == whole.opened.height
    back = compare(loud, whole)
    assert (back.appear.height, back.go.height) == (found.go.height, found.appear.height)
    same = compare(whole, whole)
    assert (same.appear.height, same.go.height, same.stay.height) == (0, 0, whole.opened.height)
    labels = [line[0] for line in describe_both(sum_up(whole), sum_up(loud))]
    assert labels[0] == "judged"
    assert labels[-1] == "phase swap found"


def test_one_bad_metric_is_one_bad_metric(rows):
    hook = "def preprocess(rows, **params):\n    assert rows['metric_value'].max() < 250\n    return rows\n"
    settings = {"model_configs": [{"model_name": "HBOS"}], "preprocess_fn": hook}
    calm = series("calm", 300, seed=4)
    result = replay(pl.concat([rows.filter(metric_name="orders"), calm]), settings, trials=2)
    assert list(result.failed) == ["orders"]
    assert "AssertionError" in result.failed["orders"]
    assert set(result.scores["metric_name"]) == set(result.trials["metric_name"]) == {"calm"}


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_rows_have_no_rate(count: int):
    result = replay(series("orders", count))
    summary = sum_up(result)
    assert (summary.rows, summary.scored, summary.a_week.count, result.trials.height) == (count, 0, 0, 0)
    assert render_rate(summary.a_week).startswith("unknown")
    assert len(describe_summary(summary)) == 4


def test_a_constant_metric_is_tried_and_never_alerts_by_itself():
    flat = series("flat", 600).with_columns(metric_value=pl.lit(7.0))
    result = replay(flat, trials=3)
    assert result.opened.filter(kind="anomaly").is_empty()
    assert result.trials.filter(shape="spike")["delay_rows"].to_list() == [0, 0, 0]


def test_the_order_and_copies_of_rows_change_nothing(rows, whole):
    stale = rows.with_columns(metric_value=pl.col("metric_value") + 1e3)
    mixed = pl.concat([stale.sample(50, seed=1), rows.sample(fraction=1, shuffle=True, seed=2)])
    assert replay(mixed, trials=6).alerts.equals(whole.alerts)


@given(count=st.integers(0, 500), exposure=st.floats(0.01, 1e4))
def test_the_interval_of_a_rate_is_exact(count: int, exposure: float):
    rate = find_rate(count, exposure)
    assert rate.value == count / exposure
    assert rate.low is not None
    assert rate.high is not None
    assert stats.poisson.cdf(count, rate.high * exposure) == pytest.approx(0.025)
    assert stats.poisson.sf(count - 1, rate.low * exposure) == pytest.approx(0.025 if count else 1.0)


@pytest.mark.parametrize("exposure", [0.0, -1.0, float("nan")])
def test_without_exposure_there_is_no_rate(exposure: float):
    assert find_rate(3, exposure).value is None


@given(
    shape=st.sampled_from(sorted(SHAPES)),
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    size=st.floats(0, 1e308),
)
def test_an_injected_anomaly_is_finite_and_as_long_as_its_stretch(shape: str, values: list[float], size: float):
    changed = inject(shape, Stretch(np.array(values), values[0], size, np.ones(len(values))))
    assert len(changed) == len(values)
    assert np.isfinite(changed).all()


def test_shapes_are_what_they_are_called():
    stretch = Stretch(np.arange(4.0), before=9.0, size=10.0, draws=np.array([1.0, -1.0, 1.0, -1.0]))
    made = {shape: inject(shape, stretch).tolist() for shape in SHAPES}
    assert made == {
        "spike": [10, 1, 2, 3],
        "dip": [-10, 1, 2, 3],
        "level shift": [10, 11, 12, 13],
        "ramp": [2.5, 6, 9.5, 13],
        "variance burst": [10, -9, 12, -7],
        "flat line": [9, 9, 9, 9],
        "phase swap": [2, 3, 0, 1],
    }


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=50))
def test_noise_is_a_positive_number(values: list[float]):
    assert 0 < find_noise(np.array(values)) < np.inf


@pytest.mark.parametrize(("values", "noise"), [([], 1.0), ([5.0], 0.5), ([0.0] * 9, 1.0), ([-3.0] * 9, 0.3)])
def test_the_noise_of_a_constant_is_a_tenth_of_it(values: list[float], noise: float):
    assert find_noise(np.array(values)) == pytest.approx(noise)


def test_the_course_of_an_alert_ends_soon_after_it(whole):
    moment = START + HOUR * 1000
    course = find_course(whole.scores, "orders", moment)
    assert len(course) == 32
    assert course[23] == max(value for value in course if value is not None)


def test_the_most_surprising_alerts_are_chosen_and_stand_in_order_of_time(whole):
    chosen = order_alerts(whole.opened, 3)
    assert chosen["metric_timestamp"].is_sorted()
    rest = whole.opened.join(chosen, on="alert_id", how="anti")
    assert chosen["surprise"].min() >= rest["surprise"].max()
