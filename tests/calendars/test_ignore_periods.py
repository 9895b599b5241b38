"""Planned events: neither judged nor learned, in every job, and undone when the period is removed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from anomflow.backtest.numbers import replay_series
from anomflow.backtest.run import Options, run_backtest
from anomflow.batches import load_batch
from anomflow.errors import SettingsError
from tasks.history import read_history
from tests.world import HOUR, START, Clock, World, at, series

EVENT = range(400, 406)
PERIOD = """
ignore_periods:
- {start: 2026-01-17 16:00, end: 2026-01-17 22:00, metrics: 'ord*', reason: load test}
"""
EVENTFUL = """
tholdalert_thresholds: {orders: {upper: 250}, visits: {upper: 250}}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two metrics with a large event at hour 400 of 410, of which the settings ignore that of orders."""
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    world = World(tmp_path, Clock(START))
    world.configure(EVENTFUL + PERIOD)
    world.put(pl.concat([series("orders", 380), series("visits", 380, seed=2)]))
    world.run("ingest", "train", as_of=at(379))
    world.put(pl.concat([series("orders", 410, EVENT), series("visits", 410, EVENT, seed=2)]))
    return world


def alerts(world: World, name: str) -> list[str]:
    """Return the kinds of the alerts of a metric since its event."""
    return world.alerts(metric_name=name).filter(pl.col("metric_timestamp") > at(399))["kind"].to_list()


def scores(world: World, name: str) -> pl.DataFrame:
    """Return time, score and metadata of each row of the event."""
    found = world.sql(
        "select metric_timestamp, metric_value, metadata ->> '$.reason' as reason, metadata ->> '$.explanation' as why from metrics"
        f" where metric_type = 'score' and metric_name = '{name}' order by 1",
    )
    return found.filter(pl.col("metric_timestamp").is_between(START + HOUR * EVENT.start, START + HOUR * (EVENT.stop - 1)))


def test_a_planned_event_has_no_score_and_no_alert_of_any_kind(shop: World) -> None:
    shop.run("ingest", "train", "score", "change", "alert", as_of=at(409))
    ignored = scores(shop, "orders")
    assert ignored["metric_value"].to_list() == [None] * len(EVENT)
    assert set(ignored.select("reason", "why").rows()) == {("ignored_period", "load test")}
    assert alerts(shop, "orders") == []
    assert {"anomaly", "threshold", "change"} <= set(alerts(shop, "visits"))
    assert shop.uncovered(at(380)).is_empty()
    before = shop.snapshot
    shop.run("ingest", "train", "score", "change", "alert", as_of=at(409))
    assert shop.snapshot == before


def test_the_rows_after_an_event_are_judged_as_if_it_had_not_been(shop: World, tmp_path: Path) -> None:
    shop.run("ingest", "score", as_of=at(409))
    live = shop.table().filter(metric_type="score", metric_name="orders").filter(pl.col("metric_timestamp") > at(405))
    batch = load_batch(tmp_path / "metrics", "shop", {}, {})
    with_event = run_backtest(read_history(shop.open(at(409)).library), batch, Options(at(409), trials=0))
    calm = (
        series("orders", 410)
        .with_columns(pl.col("metric_value").round(4))
        .filter(~pl.col("metric_timestamp").is_in([START + HOUR * hour for hour in EVENT]))
    )
    without = run_backtest(calm, load_batch(tmp_path / "metrics", "shop", {}, {"ignore_periods": "[]"}), Options(at(409), trials=0))
    ours = with_event.scores.filter(metric_name="orders")
    assert ours.equals(without.scores)
    assert with_event.alerts.filter(pl.col("metric_timestamp") > at(399), metric_name="orders").is_empty()
    after = ours.filter(pl.col("metric_timestamp") > at(405))["anomaly_score"].round(4)
    assert live["metric_value"].to_list() == after.to_list()


def test_a_removed_period_is_judged_again_once_and_its_states_alone_are_rebuilt(shop: World) -> None:
    shop.run("ingest", "train", "score", "alert", as_of=at(409))
    shop.configure(EVENTFUL)
    [trained, scored] = shop.run("train", "score", as_of=at(409) + timedelta(minutes=1))
    assert (trained.counts["metrics_rebuilt"], trained.counts["metrics_continued"], trained.counts["scores_void"]) == (1, 1, len(EVENT))
    assert scored.counts["scored"] == len(EVENT)
    assert "anomaly" in alerts(shop, "orders")
    assert shop.uncovered(at(380)).is_empty()


def test_a_period_added_later_is_not_learned_and_leaves_scores_as_they_are(shop: World) -> None:
    shop.configure(EVENTFUL)
    shop.run("ingest", "train", "score", as_of=at(409))
    before = scores(shop, "orders")
    shop.configure(EVENTFUL + PERIOD)
    [trained, _] = shop.run("train", "score", as_of=at(409) + timedelta(minutes=1))
    assert (trained.counts["metrics_rebuilt"], trained.counts["metrics_continued"]) == (1, 1)
    assert scores(shop, "orders").equals(before)
    [again] = shop.run("train", as_of=at(409) + timedelta(minutes=2))
    assert again.counts["metrics_rebuilt"] == 0


def test_a_period_over_the_first_rows_rebuilds_as_well(shop: World) -> None:
    shop.configure(EVENTFUL + "ignore_periods: [{start: 2026-01-01, end: 2026-01-03, metrics: visits}]\n")
    [_, trained] = shop.run("ingest", "train", as_of=at(409))
    assert (trained.counts["metrics_rebuilt"], trained.counts["metrics_continued"]) == (1, 1)


def test_buckets_that_overlap_a_period_are_ignored_whole(shop: World) -> None:
    shop.configure(PERIOD.replace("16:00", "16:30").replace("22:00", "21:30") + "freq: 2h\n")
    shop.run("ingest", "train", "score", as_of=at(409))
    reasons = scores(shop, "orders")
    assert reasons["reason"].to_list() == ["ignored_period"] * 3
    assert alerts(shop, "orders") == []
    assert set(scores(shop, "visits")["reason"]) == {None}
    before = shop.snapshot
    shop.run("ingest", "train", "score", as_of=at(409))
    assert shop.snapshot == before


@pytest.mark.parametrize(("zone", "hours"), [("UTC", range(16, 22)), ("Europe/Berlin", range(15, 21))])
def test_times_without_a_zone_are_of_the_batch(zone: str, hours: range) -> None:
    rows = series("m", 24 * 20)
    seconds = rows["metric_timestamp"].to_physical().to_numpy() // 1_000_000
    period = {"start": "2026-01-17 16:00", "end": "2026-01-17T22:00"}
    judged = replay_series(seconds, rows["metric_value"], {"ignore_periods": [period], "timezone": zone})
    missing = judged[30:].filter(pl.col("surprise").is_null())["timestamp"]
    assert missing.to_list() == [datetime.fromisoformat(f"2026-01-17T{hour}:00+00:00") for hour in hours]


def test_a_metric_that_falls_silent_in_a_period_is_awaited_after_its_end(shop: World) -> None:
    late = 410 - 380
    shop.configure("ignore_periods:\n- {start: 2026-01-18 03:00, end: 2026-01-19 03:00}\n")
    shop.run("ingest", "train", "score", as_of=at(409))
    shop.run("alert", as_of=at(410 + 23))
    assert shop.alerts(kind="freshness").is_empty()
    shop.run("alert", as_of=at(410 + 24 + late))
    assert shop.alerts(kind="freshness").height == 2
    assert "due by 2026-01-19 0" in shop.alerts(kind="freshness")["reason"][0].replace("T", " ")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("ignore_periods:\n- {start: 2026-03-02, end: 2026-03-01}", 5, "is not after start"),
        ("timezone: Asia/Tokyo\nignore_periods:\n- {start: 2026-03-01, end: '2026-02-28T12:00Z'}", 6, "is not after start"),
        ("ignore_periods:\n- {start: 2026-03-02}", 5, "ignore_periods.0 has no end, which it needs"),
        ("ignore_periods:\n- {start: 20260302, end: 2026-03-05}", 5, "is no date or time; write for example 2026-12-24"),
        ("ignore_periods:\n- {start: 2026-13-02, end: 2026-03-05}", 5, "ignore_periods.0.start"),
        ("ignore_periods:\n- {start: 2026-03-02, end: 2026-03-05, metric: x}", 5, "ignore_periods.0.metric"),
        ("ignore_periods: monday", 4, "ignore_periods is 'monday'; allowed is"),
    ],
)
def test_a_wrong_period_is_told_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = tmp_path / "shop" / "shop.yaml"
    path.parent.mkdir()
    path.write_text(f"metric_batch: shop\ningest_sql: select 1\ntable_key: metrics\n{text}\n")
    with pytest.raises(SettingsError) as caught:
        load_batch(tmp_path, "shop", {}, {})
    assert words in str(caught.value)
    assert f"shop.yaml:{line}: " in str(caught.value)
