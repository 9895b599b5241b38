"""`anomflow list`: batches and metrics, the broken beside the sound, safe to show."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.cli.commands_run import invoke, read
from tests.world import START, World, at, series

HOSTILE = "[red]b[/red]\x1b[31m\n"
AS_OF = ("--as-of", at(400).isoformat())


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """A batch with two metrics and an alert, one whose file is wrong, one without rows, one whose file is no database, one off."""
    world.put(pl.concat([series("orders", 401, spikes=(390,)), series(HOSTILE, 30)]))
    world.configure("alert_threshold: 0.7\n")
    world.run("ingest", "train", "score", "alert", as_of=at(380))
    world.run("ingest", "score", "alert", as_of=at(400))
    world.configure("shards: many\n", batch="wrong")
    world.configure("db: sqlite\n", batch="empty")
    world.configure("disable_batch: true\n", batch="off")
    return world


def test_each_batch_is_a_row_with_what_is_known_of_it(shop: World):
    rows = {row["batch"]: row for row in read(shop, "list", *AS_OF)["batches"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "empty": "enabled",
        "off": "disabled",
        "shop": "enabled",
        "wrong": "broken",
    }
    found = rows["shop"]
    assert (found["metrics"], found["open_alerts"], found["db"], found["table"]) == (2, 1, "duckdb", "metrics")
    assert found["last_point"] == "2026-01-17T16:00:00Z"
    assert found["last_score"] == "2026-01-17T16:00:00Z"
    assert found["model_age_seconds"] == timedelta(hours=20).total_seconds()
    assert found["schedules"]["train"] == "0 * * * *"
    assert "shards" in rows["wrong"]["problem"]
    assert rows["empty"]["metrics"] == rows["off"]["metrics"] == 0


def test_the_keys_of_a_batch_are_these(shop: World):
    (row,) = read(shop, "list", "shop", *AS_OF)["batches"]
    assert list(row) == [
        "batch", "state", "path", "db", "table", "metrics", "last_point", "last_score", "model_created",
        "model_age_seconds", "open_alerts", "schedules", "problem",
    ]  # fmt: skip


def test_looking_makes_no_database_and_changes_nothing(shop: World):
    before = shop.snapshot
    read(shop, "list", *AS_OF)
    read(shop, "list", "--by-metric", *AS_OF)
    assert not (shop.folder / "home" / "anomflow.sqlite").exists()
    assert shop.snapshot == before


def test_a_file_that_is_no_database_is_a_row_that_says_so(shop: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "torn").write_text("no database")
    monkeypatch.setenv("ANOMFLOW_SQLITE_PATH", str(tmp_path / "torn"))
    rows = {row["batch"]: row["problem"] for row in read(shop, "list", *AS_OF)["batches"]}
    assert "is not a sqlite database" in rows["empty"]
    assert rows["shop"] is None


def test_metrics_have_value_rows_score_alerts_and_course(shop: World):
    rows = {row["metric"]: row for row in read(shop, "list", "shop", "--by-metric", *AS_OF)["metrics"]}
    found = rows["orders"]
    assert found["value"] == pytest.approx(shop.table().filter(metric_type="metric", metric_name="orders")["metric_value"][-1])
    assert (found["rows"], found["open_alerts"], len(found["recent"])) == (401, 1, 30)
    assert found["last_point"] == "2026-01-17T16:00:00Z"
    assert 0 <= found["anomaly_score"] <= 1
    assert rows[HOSTILE]["rows"] == 30


def test_a_table_shows_hostile_names_as_text_and_is_not_cut_in_a_pipe(shop: World):
    result = invoke(shop, "list", "--by-metric", *AS_OF)
    assert "[red]b[/red]\\u001b[31m" in result.stdout
    assert "\x1b" not in result.stdout
    assert "..." not in result.stdout
    assert "▂" in result.stdout


def test_as_of_an_earlier_time_later_rows_are_not_seen(shop: World):
    (row,) = read(shop, "list", "shop", "--as-of", START.isoformat())["batches"]
    assert row["last_point"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(("words", "told"), [(["shpo"], "Did you mean shop?"), (["--as-of", "noon"], "no ISO 8601 time")])
def test_wrong_words_are_exit_code_2(shop: World, words: list[str], told: str):
    result = invoke(shop, "list", *words)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


def test_a_folder_without_batches_is_said_so(tmp_path: Path):
    result = invoke(World(tmp_path, None), "list")  # type: ignore[arg-type]
    assert result.exit_code == 2
    assert "there is no such folder" in result.stderr
    assert json.loads(invoke(World(tmp_path, None), "list", "--json").stdout)["problems"]  # type: ignore[arg-type]
