"""Scores as decisions get them: from a state or from scratch the same, with reasons, windows and smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from anomflow.calibration import anomaly_score, surprise
from anomflow.fitting import FitSpec, fit_model
from anomflow.frames import SCORES
from anomflow.model_bytes import dump, load, object_name
from anomflow.models import FittedModel
from anomflow.scoring import ScoringSpec, score_series, smooth
from anomflow.sections.common import FeatureSpec
from anomflow.series import SeriesBatch, to_timestamps

FIT = FitSpec(FeatureSpec())


def batch(**metrics: Any) -> SeriesBatch:
    names = sorted(metrics)
    return SeriesBatch(
        names=tuple(names),
        offsets=np.cumsum([0, *(len(metrics[name]) for name in names)]),
        seconds=np.concatenate([np.empty(0), *(metrics[name].seconds for name in names)]),
        values=np.concatenate([np.empty(0), *(metrics[name].values for name in names)]),
    )


NOTHING = batch()


def fit_stored(series: Any) -> FittedModel:
    content = dump(fit_model(None, series, FIT)[0])
    return load(content, object_name(content))


@pytest.mark.parametrize(
    "spec", [ScoringSpec(), ScoringSpec(snooze_n=0), ScoringSpec(snooze_n=400, smooth_n=7), ScoringSpec(smooth_n=1000, min_n=100)]
)
def test_scores_from_a_state_are_those_from_scratch(make: Any, spec: ScoringSpec) -> None:
    one, two = make(1500, 300.0, 1), make(200, 3600.0, 2)
    model = fit_stored(batch(one=one[:1400], two=two[:90]))
    fresh = score_series(model, batch(one=one[1200:], two=two), NOTHING, spec).scores
    full = score_series(model, NOTHING, batch(one=one, two=two), spec).scores
    after = pl.col("metric_timestamp") > pl.when(pl.col("metric_name") == "one").then(to_timestamps(one.seconds[1399:1400])[0]).otherwise(
        to_timestamps(two.seconds[89:90])[0]
    )
    assert fresh.height == 100 + 110
    assert_frame_equal(fresh, full.filter(after), check_exact=True)


def test_the_frame_has_the_columns_of_scores_and_no_threshold(make: Any) -> None:
    scores = score_series(None, NOTHING, batch(m=make(60, 300.0)), ScoringSpec()).scores
    assert dict(scores.schema) == SCORES
    assert scores["threshold"].null_count() == 60
    assert dict(score_series(None, NOTHING, NOTHING, ScoringSpec()).scores.schema) == SCORES


def test_each_scale_of_a_score_follows_from_a(make: Any) -> None:
    scores = score_series(None, NOTHING, batch(m=make(900, 300.0)), ScoringSpec()).scores.drop_nulls("anomaly")
    assert scores["anomaly_score"].to_numpy() == pytest.approx(anomaly_score(scores["anomaly"].to_numpy()))
    assert scores["surprise"].to_numpy() == pytest.approx(surprise(scores["anomaly"].to_numpy()))
    assert scores["anomaly_score"].is_between(0, 1).all()


@pytest.mark.parametrize(("min_n", "cold"), [(2, 20), (20, 20), (35, 35), (100, 60)])
def test_rows_before_enough_are_cold_and_have_no_numbers(make: Any, min_n: int, cold: int) -> None:
    scores = score_series(None, NOTHING, batch(m=make(60, 300.0)), ScoringSpec(min_n=min_n)).scores
    said = ["anomaly", "state", "anomaly_score", "surprise", "expected", "expected_low", "expected_high", "explanation"]
    assert scores["reason"].to_list() == ["cold_start"] * cold + [None] * (60 - cold)
    assert scores[:cold].select(pl.col(said).null_count()).row(0) == (cold,) * len(said)
    assert scores["anomaly"][cold:].null_count() == 0
    assert scores["metric_value"].null_count() == 0


def test_a_state_of_few_rows_knows_how_many_are_missing(make: Any) -> None:
    series = make(60, 300.0)
    model, _ = fit_model(None, batch(m=series[:25]), FIT)
    scores = score_series(model, batch(m=series), NOTHING, ScoringSpec(min_n=40)).scores
    assert scores["reason"].to_list() == ["cold_start"] * 15 + [None] * 20


def test_only_the_wanted_rows_are_told_of_and_they_say_what_they_say_among_all(make: Any) -> None:
    one, two, three = make(900, 300.0, 1), make(300, 3600.0, 2), make(100, 300.0, 3)
    metrics = batch(one=one, three=three, two=two)
    every = score_series(None, NOTHING, metrics, ScoringSpec(snooze_n=5, smooth_n=3))
    asked = {"one": one.seconds[[899, 3, 600]], "two": two.seconds[-4:], "unknown": one.seconds}
    some = score_series(None, NOTHING, metrics, ScoringSpec(snooze_n=5, smooth_n=3, wanted=asked))
    times = {name: set(to_timestamps(seconds)) for name, seconds in asked.items()}
    wanted = [time in times.get(name, ()) for name, time in every.scores.select("metric_name", "metric_timestamp").rows()]
    assert_frame_equal(some.scores, every.scores.filter(pl.Series(wanted)), check_exact=True)
    assert some.scores.height == 7
    assert some.unknown == every.unknown == ("one", "three", "two")


def test_a_run_that_wants_nothing_gets_an_empty_frame_of_scores(make: Any) -> None:
    scores = score_series(None, NOTHING, batch(m=make(60, 300.0)), ScoringSpec(wanted={})).scores
    assert dict(scores.schema) == SCORES
    assert scores.is_empty()


def test_the_state_stays_high_while_an_incident_lasts_and_the_anomaly_does_not(make: Any) -> None:
    series = make(3000, 300.0)
    values = series.values.copy()
    values[2100:2160] += 12 * np.where(np.arange(60) % 2, 1, -1)
    scores = score_series(None, NOTHING, batch(m=type(series)(series.seconds, values)), ScoringSpec()).scores
    state, anomaly = scores["state"].to_numpy(), scores["anomaly"].to_numpy()
    assert state[2110:2160].min() > 1.5
    assert np.median(state[2110:2160]) > np.median(anomaly[2110:2160])
    assert np.median(state[1000:1900]) < 1


def test_snooze_windows_are_the_times_of_the_rows_before_and_after(make: Any) -> None:
    series = make(100, 300.0)
    model, _ = fit_model(None, batch(m=series[:95]), FIT)
    times = to_timestamps(series.seconds).to_list()
    scores = score_series(model, batch(m=series), NOTHING, ScoringSpec(snooze_n=3)).scores
    assert scores["snooze_from"].to_list() == times[92:97]
    assert scores["snooze_until"].to_list() == [times[98], times[99], None, None, None]
    first = score_series(None, NOTHING, batch(m=series), ScoringSpec(snooze_n=3)).scores
    assert first["snooze_from"].to_list() == [None] * 3 + times[:97]


def test_rows_at_or_before_the_checkpoint_are_not_scored_again(make: Any) -> None:
    series = make(100, 300.0)
    model, _ = fit_model(None, batch(m=series), FIT)
    assert score_series(model, batch(m=series), NOTHING, ScoringSpec()).scores.is_empty()


def test_metrics_that_the_model_does_not_know_are_judged_from_scratch_and_named(make: Any) -> None:
    series = make(100, 300.0)
    model, _ = fit_model(None, batch(known=series), FIT)
    scoring = score_series(model, batch(known=series, new=series), NOTHING, ScoringSpec())
    assert scoring.unknown == ("new",)
    assert scoring.scores["metric_name"].unique().to_list() == ["new"]
    assert scoring.scores.height == 100


def test_one_bad_metric_is_named_and_stops_no_other(make: Any) -> None:
    good = make(100, 300.0)
    bad = type(good)(good.seconds[::-1].copy(), good.values)
    scoring = score_series(None, NOTHING, batch(bad=bad, good=good), ScoringSpec())
    assert list(scoring.failed) == ["bad"]
    assert scoring.scores["metric_name"].unique().to_list() == ["good"]


def test_scores_come_by_name_and_time(make: Any) -> None:
    series = make(50, 300.0)
    model, _ = fit_model(None, batch(b=series[:40]), FIT)
    scores = score_series(model, batch(b=series), batch(a=series, c=series), ScoringSpec()).scores
    assert_frame_equal(scores, scores.sort("metric_name", "metric_timestamp"))
    assert scores["metric_name"].unique(maintain_order=True).to_list() == ["a", "b", "c"]


def test_smoothing_is_the_trailing_mean_of_the_scores_that_there_are() -> None:
    scores = np.array([np.nan, np.nan, 1.0, 3.0, 5.0, 7.0])
    assert smooth(np.empty(0), scores, 3).tolist()[2:] == [1.0, 2.0, 3.0, 5.0]
    assert np.isnan(smooth(np.empty(0), scores, 3)[:2]).all()
    assert smooth(scores[:4], scores[4:], 3).tolist() == [3.0, 5.0]
    assert smooth(scores[:4], scores[4:], 1).tolist() == [5.0, 7.0]


def test_an_anomaly_is_scored_explained_and_told_what_was_expected(make: Any) -> None:
    series = make(3000, 300.0)
    scores = score_series(None, NOTHING, batch(m=series), ScoringSpec()).scores
    spike = scores.row(2000, named=True)
    assert spike["anomaly_score"] > 0.95
    assert spike["expected_low"] < spike["expected"] < spike["expected_high"] < spike["metric_value"] == series.values[2000]
    assert "unlike this time in earlier seasons" in spike["explanation"]
    assert (spike["step_seconds"], spike["flat_rows"], spike["reason"]) == (300.0, 0, None)
