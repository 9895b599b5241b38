"""A backtest says what the jobs recorded: the same alerts, with the same facts, when history came row by row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from anomflow.backtest.replay import Segment, find_segments
from anomflow.backtest.run import Options, run_backtest
from anomflow.batches import load_batch
from tests.world import START, World, at, series

FACTS = ["metric_name", "kind", "metric_timestamp", "metric_value", "expected_low", "expected_high", "anomaly_score", "surprise", "reason"]
YAML = "alert_threshold: 0.6\nalert_max_age: 3d\n"


def replay_jobs(world: World, rows: pl.DataFrame, hours: Sequence[int]) -> pl.DataFrame:
    """Run the jobs as of each hour, over the rows that had come by then; return the alerts that stand in the ledger."""
    world.put(rows)
    for hour in hours:
        world.run("ingest", "score", "train", as_of=at(hour), send=False)
    return world.table("_alerts")


def run(world: World, until: datetime, **given: Any) -> Any:
    batch = load_batch(world.folder / "metrics", "shop", os.environ)
    rows = world.sql("select * from metrics where metric_type = 'metric' order by metric_name, metric_timestamp")
    return run_backtest(rows, batch, Options(until, trials=0, **given))


def compare_alerts(recorded: pl.DataFrame, found: pl.DataFrame, since: datetime) -> list[tuple[Any, ...]]:
    """Return the recorded alerts since a time, after a check that the backtest found the same."""
    columns = [*FACTS, "status", "alert_id"]
    one, other = (part.filter(pl.col("metric_timestamp") >= since).select(columns).sort("alert_id") for part in (recorded, found))
    assert one.rows() == other.rows()
    return one.rows()


@pytest.mark.parametrize(
    "text",
    [
        YAML,
        YAML + "alert_smooth_n: 3\nalert_direction: up\nalert_snooze_n: 4\n",
        YAML + "freq: 2h\n",
        YAML + "tholdalert_thresholds:\n  orders: {upper: 121}\ntholdalert_snooze_n: 2\nalert_exclude_metrics: [visits]\n",
        YAML + "model_configs: [{model_name: HBOS}, {model_name: MAD, model_params: {}}]\npreprocess_params: {lags_n: 0}\n",
    ],
    ids=["default", "smoothed", "buckets", "thresholds", "models of PyOD"],
)
def test_a_backtest_finds_the_alerts_that_the_jobs_recorded(world: World, text: str):
    world.configure(text)
    rows = pl.concat([series("orders", 200, [120, 123, 150, 190]), series("visits", 200, [160], seed=2)])
    recorded = replay_jobs(world, rows, range(39, 200, 40))
    # What the first run judges is late already; a backtest lets it come in time.
    found = compare_alerts(recorded, run(world, at(199)).alerts, START + timedelta(hours=60))
    assert {"open", "snoozed"} <= {row[-2] for row in found}
    assert len(found) > 3


def test_the_origin_moves_on_as_training_moves_it(world: World):
    world.configure(YAML + "train_max_n: 40\n")
    recorded = replay_jobs(world, series("orders", 90, [83, 86]), [30, *range(78, 88)])
    found = compare_alerts(recorded, run(world, at(87)).alerts, START + timedelta(hours=79))
    assert START + timedelta(hours=83) in [row[2] for row in found]


def test_segments_follow_one_another_and_each_knows_enough():
    assert list(find_segments(0, 5)) == []
    assert list(find_segments(11, 5)) == [Segment(0, 0, 11)]
    assert list(find_segments(20, 5)) == [Segment(0, 0, 11), Segment(6, 11, 17), Segment(12, 17, 20)]


def test_nothing_is_written(world: World):
    world.put(series("orders", 200, [150]))
    world.run("ingest", "train", "score", "alert", as_of=at(199), send=False)
    before = world.snapshot
    assert run(world, datetime(2027, 1, 1, tzinfo=UTC)).opened.height > 0
    assert world.snapshot == before
