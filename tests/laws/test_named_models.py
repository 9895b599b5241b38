"""Models of PyOD by name, from ingest to mail: judged once, told once, and used as they were when they were trained."""

from __future__ import annotations

from importlib.util import find_spec

import polars as pl
import pytest

from anomflow.errors import MissingDependencyError, RunError

KNN = "model_configs: [{model_name: KNN}]\nalert_methods: email\n"
HOOK = """\
model_configs: [{model_name: KNN}]
preprocess_params: {back: 1}
preprocess_fn: |
  import polars as pl

  def preprocess(rows, back, **_):
      value = pl.col("metric_value")
      return rows.select("metric_timestamp", change=value - value.shift(back), earlier=value.shift(back) - value.shift(2 * back))
"""


def scores(world):
    return world.sql(
        "select metric_name, metric_timestamp, metric_value, metadata ->> '$.explanation' as explanation from metrics"
        " where metric_type = 'score' and metric_value is not null order by all"
    )


def test_a_spike_becomes_one_mail(world, mailbox, series, at):
    world.configure(KNN)
    world.put(series("orders", 600, spikes=[590]))
    world.run("ingest", "train", as_of=at(580))
    for hour in (585, 591, 595):
        world.run("ingest", "score", "alert", as_of=at(hour))

    (mail,) = mailbox.mails
    assert "orders" in str(mail["Subject"]) + mail.get_body(("plain",)).get_content()
    assert world.alerts(kind="anomaly", status="open").height == 1
    assert world.alerts(kind="anomaly", status="open")["reason"].item().startswith("KNN ")
    assert world.uncovered(at(581)).filter(pl.col("metric_timestamp") <= at(595)).is_empty()


@pytest.mark.parametrize(("direction", "alerts"), [("up", 1), ("down", 0)])
def test_a_direction_is_that_of_the_rows_before(world, series, at, direction, alerts):
    world.configure(f"{KNN}alert_direction: {direction}\n")
    world.put(series("orders", 400, spikes=[395]))
    world.run("ingest", "train", as_of=at(394))
    world.run("ingest", "score", as_of=at(395))

    assert world.alerts(kind="anomaly").height == alerts


def test_running_again_changes_nothing(world, mailbox, series, at):
    world.configure(KNN.replace("KNN", "PCA") + "model_seed: 3\n")
    world.put(series("orders", 400, spikes=[395]))
    world.run("ingest", "train", "score", "alert", as_of=at(399))
    before, mails = world.snapshot, list(mailbox.ids)
    world.run("ingest", "train", "score", "alert", as_of=at(399))

    assert (world.snapshot, mailbox.ids) == (before, mails)


def test_scores_do_not_depend_on_when_training_happened(world, series, at):
    world.configure("model_configs: [{model_name: KNN}, {model_name: PCA}]\nmodel_combination_method: mean\n")
    rows = series("orders", 420)
    world.put(rows)
    for hour in range(370, 420, 9):
        world.run("ingest", "train", "score", as_of=at(hour))
    often = scores(world)
    world.database.unlink()
    world.put(rows)
    world.run("ingest", "train", "score", as_of=at(370))
    for hour in range(379, 420, 9):
        world.run("ingest", "score", as_of=at(hour))

    assert often.height > 300
    assert scores(world).equals(often)


def test_other_models_rebuild_and_wait_for_training(world, series, at):
    world.put(series("orders", 330))
    world.configure("model_configs: [{model_name: KNN}]\n")
    world.run("ingest", "train", "score", as_of=at(300))
    world.configure("model_configs: [{model_name: PCA, model_tag: plane}]\n")
    (_, scored) = world.run("ingest", "score", as_of=at(310))
    (_, trained, _) = world.run("ingest", "train", "score", as_of=at(320))

    assert scored.counts["scored"] == 10
    assert trained.counts["metrics_rebuilt"] == 1
    versions = world.sql(
        "select distinct metadata ->> '$.model' as model from metrics where metric_type = 'score' and metric_value is not null"
    )
    assert versions.height == 2


@pytest.mark.parametrize(
    "setting", ["model_seed: 1", "model_combination_method: mean", "preprocess_params: {lags_n: 2}", "model_max_n: 100"]
)
def test_each_setting_of_the_models_rebuilds(world, series, at, setting):
    world.put(series("orders", 100))
    world.configure(KNN)
    world.run("ingest", "train", as_of=at(99))
    (same,) = world.run("train", as_of=at(99))
    world.configure(f"{KNN}{setting}\n")
    (other,) = world.run("train", as_of=at(99))

    assert (same.counts["metrics_continued"], other.counts["metrics_rebuilt"]) == (1, 1)


def test_a_preprocess_function_makes_the_features(world, series, at):
    world.configure(HOOK)
    world.put(series("orders", 200, spikes=[190]))
    world.run("ingest", "train", "score", as_of=at(199))

    top = scores(world).sort("metric_value").tail(3)["metric_timestamp"].to_list()
    assert at(190).replace(second=0) in top


def test_a_changed_preprocess_function_waits_for_training(world, series, at):
    world.configure(HOOK)
    world.put(series("orders", 200))
    world.run("ingest", "train", "score", as_of=at(150))
    world.configure(HOOK.replace("change=value - value.shift(back)", "change=1 / 0"))
    (_, scored) = world.run("ingest", "score", as_of=at(160))
    with pytest.raises(RunError, match=r"shop\.yaml:11: preprocess\(\) raised ZeroDivisionError"):
        world.run("train", as_of=at(170))

    assert (scored.counts["scored"], scored.failures) == (10, {})


def test_a_function_that_fails_for_one_metric_fails_that_one_only(world, series, at):
    text = HOOK.replace('value = pl.col("metric_value")', 'assert rows["metric_value"].max() < 250\n      value = pl.col("metric_value")')
    world.configure(text)
    world.put(pl.concat([series("good", 100), series("bad", 100, spikes=[50])]))
    (_, trained, _) = world.run("ingest", "train", "score", as_of=at(99))

    assert list(trained.failures) == ["bad"]
    assert "preprocess() raised AssertionError" in trained.failures["bad"]
    assert set(scores(world)["metric_name"]) == {"good"}


def test_a_model_that_cannot_be_fitted_fails_its_metric_with_the_reason(world, series, at):
    world.configure("model_configs: [{model_name: CBLOF}]\n")
    flat = series("flat", 100).with_columns(metric_value=pl.lit(5.0))
    world.put(pl.concat([flat, series("orders", 100)]))
    (_, trained) = world.run("ingest", "train", as_of=at(99))

    assert list(trained.failures) == ["flat"]
    assert "CBLOF cannot be fitted on 88 rows" in trained.failures["flat"]


def test_refused_parameters_are_told_by_the_run(world, series, at):
    world.configure("model_configs: [{model_name: IForest, model_params: {n_estimators: none}}]\n")
    world.put(series("orders", 100))
    with pytest.raises(RunError, match="IForest cannot be fitted on 88 rows"):
        world.run("ingest", "train", as_of=at(99))


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed here")
def test_a_model_whose_package_is_missing_names_the_extra(world, series, at):
    world.configure("model_configs: [{model_name: AutoEncoder}]\n")
    world.put(series("orders", 100))
    with pytest.raises(MissingDependencyError, match=r"the model AutoEncoder needs the extra 'torch'"):
        world.run("ingest", "train", as_of=at(99))
