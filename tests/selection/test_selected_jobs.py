"""`model_selection: auto` in the jobs: chosen in training, kept with the version, used by score, told by explain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from anomflow.backtest.run import Options, run_backtest
from anomflow.batches import load_batch
from tests.cli.commands_run import read
from tests.selection.conftest import AUTO, ROWS, packs
from tests.world import START, World, at, series

ODD = 395


def put(world: World, text: str = AUTO, *, alone: bool = False) -> World:
    world.configure(text)
    parcels = packs("parcels", ROWS, ODD)
    world.put(parcels if alone else pl.concat([series("orders", ROWS, [390]), parcels]))
    return world


def train(world: World, hour: float) -> str:
    return next(iter(world.run("train", as_of=at(hour)))).text


def load_chosen(world: World, hour: float) -> dict[str, Any]:
    from tasks.models import pin_version

    run = world.open(at(hour))
    pinned, _ = pin_version(run.shelf, run.as_of)
    assert pinned is not None
    return {name: chosen for model in pinned.models.values() for name, chosen in model.chosen.items()}


def test_each_metric_gets_its_detector_and_score_uses_it(world: World):
    put(world).run("ingest", as_of=at(ROWS))
    assert "detectors: 1 " in train(world, 380)
    assert {name: chosen.label for name, chosen in load_chosen(world, 380).items()} == {"orders": "multiview", "parcels": "KNN"}
    world.run("score", as_of=at(ROWS))
    # Twelve more is much between packs, and nothing among values from 0 to 1,900.
    assert world.status_at(ODD, "parcels") == "open"
    assert world.status_at(390, "orders") == "open"
    said = world.sql(
        "select metric_name, metadata ->> '$.explanation' as text from metrics where metric_type = 'score' and metric_value > 0.9"
    )
    assert any(row[1].startswith("KNN ") for row in said.rows() if row[0] == "parcels")
    before = world.snapshot
    world.run("score", "train", as_of=at(ROWS))
    world.run("score", as_of=at(ROWS))
    after = world.snapshot
    assert (after[""], after["_alerts"]) == (before[""], before["_alerts"])


def test_a_choice_is_kept_until_the_state_is_rebuilt(world: World):
    put(world, alone=True).run("ingest", as_of=at(ROWS))
    train(world, 350)
    first = load_chosen(world, 350)
    assert "1 metrics continued" in train(world, 380)
    assert load_chosen(world, 380) == first
    world.configure(AUTO.replace("+ 50", "+ 40"))
    assert "1 metrics rebuilt" in train(world, 390)
    assert load_chosen(world, 390)["parcels"].rows > first["parcels"].rows


def test_few_rows_are_judged_by_the_default_until_there_are_enough(world: World):
    put(world, alone=True).run("ingest", as_of=at(ROWS))
    assert "detectors: 1 multiview" in train(world, 200)
    assert {chosen.rows for chosen in load_chosen(world, 200).values()} == {0}
    assert "1 metrics rebuilt" in train(world, 320)
    assert load_chosen(world, 320)["parcels"].label == "KNN"
    assert "1 metrics continued" in train(world, 330)


def test_a_late_row_is_judged_by_the_metric_s_own_detector(world: World):
    put(world, alone=True)
    late = packs("parcels", ROWS, ODD).slice(ODD, 1)
    world.sql(
        "delete from source using late where source.metric_name = late.metric_name and source.metric_timestamp = late.metric_timestamp",
        late=late,
    )
    world.run("ingest", "train", "score", as_of=at(ROWS))
    world.put(late)
    world.run("ingest", "score", as_of=at(ROWS + 1))
    assert world.status_at(ODD, "parcels") == "open"


def test_a_candidate_that_fails_is_told_and_stops_nothing(world: World):
    put(world, "model_selection: auto\nmodel_configs: [{model_name: KNN, model_params: {n_neighbors: -1}}]\n").run("ingest", as_of=at(ROWS))
    told = train(world, 380)
    assert "detectors: 2 multiview" in told
    assert "candidate KNN failed on 2 metrics ('orders': " in told
    world.run("score", as_of=at(ROWS))
    assert world.status_at(390, "orders") == "open"


def test_explain_says_what_was_chosen_and_why(world: World):
    put(world, alone=True).run("ingest", "train", "score", as_of=at(ROWS))
    moment = (START + timedelta(hours=ODD)).isoformat()
    lines = read(world, "explain", "shop", "parcels", moment)["explanation"]
    assert lines["detector"].startswith("KNN, chosen by 400 rows; against the default: KNN +0.")
    world.sql("update metrics_models set sha256 = 'x'")
    assert read(world, "explain", "shop", "parcels", moment)["explanation"]["detector"].startswith("unknown: ")


def test_a_backtest_says_what_the_jobs_recorded(world: World):
    put(world, AUTO + "alert_max_age: 3d\nalert_threshold: 0.3\n", alone=True)
    hours: Sequence[int] = (250, 320, 399)
    for hour in hours:
        world.run("ingest", "score", "train", as_of=at(hour), send=False)
    batch = load_batch(world.folder / "metrics", "shop", os.environ)
    rows = world.sql("select * from metrics where metric_type = 'metric' order by metric_name, metric_timestamp")
    facts = ["metric_name", "kind", "metric_timestamp", "anomaly_score", "status"]
    since = pl.col("metric_timestamp") >= START + timedelta(hours=321)
    recorded, found = (
        alerts.filter(since).select(facts).sort(facts)
        for alerts in (world.table("_alerts"), run_backtest(rows, batch, Options(at(399), trials=2)).alerts)
    )
    assert recorded.rows() == found.rows()
    assert recorded.height > 1
