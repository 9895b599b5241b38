"""Law 5: train and score see the same rows, and no bucket is judged before it is over."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest


def scores(world):
    return world.sql(
        "select metric_timestamp, metric_value from metrics where metric_type = 'score' and metric_value is not null order by all"
    )


def test_scores_do_not_depend_on_when_training_happened(tmp_path, monkeypatch, world, series, at):
    rows = series("orders", 330, spikes=[310])
    world.put(rows)
    for hour in range(280, 330, 7):
        world.run("ingest", "train", "score", as_of=at(hour))
    often = scores(world)
    world.database.unlink()
    world.put(rows)
    world.run("ingest", "train", "score", as_of=at(280))
    for hour in range(287, 330, 7):
        world.run("ingest", "score", as_of=at(hour))
    assert scores(world).equals(often)


def test_open_bucket_is_not_scored(world, series, at):
    world.configure("freq: 1h\n")
    world.put(series("orders", 330 * 6, step=timedelta(minutes=10)))
    world.run("ingest", "train", "score", as_of=at(300.5))
    assert scores(world)["metric_timestamp"].max() == at(299) - timedelta(seconds=1)
    world.run("ingest", "score", as_of=at(301))
    assert scores(world)["metric_timestamp"].max() == at(300) - timedelta(seconds=1)


def test_late_row_in_a_bucket_judges_the_bucket_again(world, series, at):
    world.configure("freq: 1h\nfreq_agg: sum\n")
    rows = series("orders", 330 * 6, step=timedelta(minutes=10))
    world.put(rows[:-9])
    world.run("ingest", "train", "score", as_of=at(329.9))
    count = scores(world).height
    late = rows[-9:-8].with_columns(pl.lit(50_000.0).alias("metric_value"))
    world.put(late)
    world.run("ingest", "score", as_of=at(329.95))
    assert scores(world).height == count
    (found,) = world.alerts(kind="anomaly", status="open").iter_rows(named=True)
    assert found["metric_value"] > 50_000


@pytest.mark.parametrize("freq", ["", "freq: 1h\n"])
def test_future_rows_are_invisible(world, series, at, freq):
    world.configure(freq)
    world.put(series("orders", 330))
    world.run("ingest", "train", "score", as_of=at(300))
    assert world.table()["metric_timestamp"].max() <= at(300)


def test_new_settings_wait_for_a_model_that_was_made_with_them(world, series, at):
    world.put(series("orders", 330 * 6, step=timedelta(minutes=10)))
    world.run("ingest", "train", "score", as_of=at(300))
    by_row = scores(world).height
    world.configure("freq: 1h\n")
    world.run("ingest", "score", as_of=at(310))
    assert scores(world).height == by_row + 60
    world.run("ingest", "train", "score", as_of=at(320))
    assert scores(world).filter(pl.col("metric_timestamp") > at(310))["metric_timestamp"].to_list() == [
        at(hour) - timedelta(seconds=1) for hour in range(311, 320)
    ]
