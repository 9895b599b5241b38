"""Training: a state continues over new rows as if it were rebuilt, and is rebuilt where its ground has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anomflow.fitting import FitSpec, fit_model
from anomflow.model_bytes import dump, load, object_name
from anomflow.models import FittedModel
from anomflow.sections.common import FeatureSpec
from anomflow.series import SeriesBatch

SPEC = FitSpec(FeatureSpec(), max_n=1000)


def batch(**metrics: Any) -> SeriesBatch:
    names = sorted(metrics)
    return SeriesBatch(
        names=tuple(names),
        offsets=np.cumsum([0, *(len(metrics[name]) for name in names)]),
        seconds=np.concatenate([np.empty(0), *(metrics[name].seconds for name in names)]),
        values=np.concatenate([np.empty(0), *(metrics[name].values for name in names)]),
    )


def change(series: Any, row: int, value: Any) -> Any:
    values = series.values.copy()
    values[row] = value
    return type(series)(series.seconds, values)


def without(series: Any, row: int) -> Any:
    return type(series)(np.delete(series.seconds, row), np.delete(series.values, row))


@pytest.mark.parametrize("stored", [False, True])
def test_continuing_gives_the_bytes_of_a_rebuild(make: Any, stored: bool) -> None:
    one, two = make(900, 300.0, 1), make(700, 3600.0, 2)
    first, _ = fit_model(None, batch(one=one[:500], two=two[:25]), SPEC)
    previous = load(dump(first), object_name(dump(first))) if stored else first
    continued, report = fit_model(previous, batch(one=one, two=two), SPEC)
    rebuilt, _ = fit_model(None, batch(one=one, two=two), SPEC)
    assert report.continued == ("one", "two")
    assert dump(continued) == dump(rebuilt)


def test_training_again_on_the_same_rows_changes_nothing(make: Any) -> None:
    rows = batch(m=make(400, 300.0))
    first, report = fit_model(None, rows, SPEC)
    again, report_again = fit_model(first, rows, SPEC)
    assert (report.rebuilt, report_again.continued) == ({"m": "new"}, ("m",))
    assert dump(again) == dump(first)


CHANGES = [
    (lambda s: change(s, 0, 1.0), "rows that it knows changed"),
    (lambda s: change(s, 599, 1.0), "rows that it knows changed"),
    (lambda s: without(s, 300), "rows that it knows changed"),
    (lambda s: change(s, 600, 1.0), None),
    (lambda s: s[:600], None),
    (lambda s: s[:599], "rows that it knows changed"),
]


@pytest.mark.parametrize(("changed", "reason"), CHANGES)
def test_a_changed_old_row_rebuilds_and_a_new_one_does_not(make: Any, changed: Any, reason: str | None) -> None:
    series = make(700, 300.0)
    first, _ = fit_model(None, batch(m=series[:600], other=series[:600]), SPEC)
    model, report = fit_model(first, batch(m=changed(series), other=series), SPEC)
    assert report.rebuilt.get("m") == reason
    assert "other" in report.continued
    assert dump(model) == dump(fit_model(None, batch(m=changed(series), other=series), SPEC)[0])


def test_a_late_row_before_the_first_one_rebuilds(make: Any) -> None:
    series = make(700, 300.0)
    first, _ = fit_model(None, batch(m=series[100:600]), SPEC)
    model, report = fit_model(first, batch(m=series), SPEC)
    assert report.rebuilt == {"m": "rows before its first one arrived"}
    assert model.states["m"].rows == 700


def test_rows_that_left_the_window_are_no_change(make: Any) -> None:
    series = make(700, 300.0)
    first, _ = fit_model(None, batch(m=series[:600]), SPEC)
    continued, report = fit_model(first, batch(m=series[50:]), SPEC)
    assert report.continued == ("m",)
    assert continued.states["m"].rows == 700
    _, report = fit_model(first, batch(m=change(series, 400, 0.0)[50:]), SPEC)
    assert report.rebuilt == {"m": "rows that it knows changed"}


def test_the_origin_moves_when_the_history_is_twice_as_long(make: Any) -> None:
    series = make(2100, 300.0)
    first, _ = fit_model(None, batch(m=series[:1500]), SPEC)
    assert first.states["m"].origin == series.seconds[500]
    second, report = fit_model(first, batch(m=series[:2000]), SPEC)
    assert (report.continued, second.states["m"].rows) == (("m",), 1500)
    short = FitSpec(FeatureSpec(), max_n=700)
    third, report = fit_model(second, batch(m=series), short)
    assert report.rebuilt == {"m": "its history grew to twice train_max_n"}
    assert (third.states["m"].rows, third.states["m"].origin) == (700, series.seconds[1400])


@pytest.mark.parametrize("spec", [FitSpec(FeatureSpec(freq="1h"), max_n=1000), FitSpec(FeatureSpec(), timezone="CET", max_n=1000)])
def test_other_settings_rebuild(make: Any, spec: FitSpec) -> None:
    rows = batch(m=make(300, 300.0))
    first, _ = fit_model(None, rows, SPEC)
    model, report = fit_model(first, rows, spec)
    assert report.rebuilt == {"m": "settings or code changed"}
    assert model.fingerprint != first.fingerprint


def test_metrics_with_few_rows_get_no_state_until_there_are_enough(make: Any) -> None:
    series = make(60, 300.0)
    model, report = fit_model(None, batch(few=series[:49], enough=series[:50]), FitSpec(FeatureSpec(), min_n=50))
    assert (report.skipped, sorted(model.states)) == ({"few": "cold_start"}, ["enough"])
    _, report = fit_model(model, batch(few=series, enough=series), FitSpec(FeatureSpec(), min_n=50))
    assert (report.rebuilt, report.continued) == ({"few": "new"}, ("enough",))


def test_one_bad_metric_stops_no_other(make: Any) -> None:
    good, bad = make(100, 300.0), make(100, 300.0)
    bad = type(bad)(bad.seconds[::-1].copy(), bad.values)
    model, report = fit_model(None, batch(bad=bad, good=good), SPEC)
    assert list(model.states) == ["good"]
    assert report.skipped["bad"].startswith("ValueError: rows must ascend")


def test_a_metric_without_rows_is_dropped_and_reported(make: Any) -> None:
    series = make(100, 300.0)
    first, _ = fit_model(None, batch(gone=series, here=series), SPEC)
    model, report = fit_model(first, batch(here=series), SPEC)
    assert (list(model.states), report.dropped) == (["here"], ("gone",))


def test_no_metrics_make_an_empty_model() -> None:
    model, report = fit_model(None, batch(), SPEC)
    assert isinstance(model, FittedModel)
    assert (model.states, report.rebuilt) == ({}, {})


def test_threads_do_not_change_the_result(make: Any) -> None:
    rows = batch(**{f"m{i}": make(300, 300.0, i) for i in range(8)})
    parallel, _ = fit_model(None, rows, FitSpec(FeatureSpec(), max_n=1000, threads=2))
    assert dump(parallel) == dump(fit_model(None, rows, SPEC)[0])
