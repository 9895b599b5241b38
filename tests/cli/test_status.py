"""`anomflow status`: counts of the window, on DuckDB and SQLite, and what makes it exit with 3."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.cli.commands_run import invoke, read
from tests.world import HOUR, START, Clock, World, at, series

SETTINGS = "ingest_db: duckdb\nalert_threshold: 0.7\nscore_metric_timestamp_max_days_ago: 14\ndb: {}\n"


@pytest.fixture(scope="module", params=["duckdb", "sqlite"])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shop that was judged up to hour 300."""
    world = World(tmp_path_factory.mktemp(request.param), Clock(START))
    (world.folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("ANOMFLOW_HOME", str(world.folder / "home"))
        world.put(pl.concat([series("orders", 301, spikes=(295,)), series("new", 301).tail(10)]))
        world.configure(SETTINGS.format(request.param))
        world.run("ingest", "train", "score", "alert", as_of=at(280))
        world.run("ingest", "score", "alert", as_of=at(300))
    return world.folder


@pytest.fixture
def shop(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    return World(tmp_path, Clock(at(300)))


def status(world: World, hours: float, *words: str, code: int = 0) -> dict[str, Any]:
    told = read(world, "status", "shop", "--as-of", at(hours).isoformat(), *words, code=code)
    assert told["ok"] is (code == 0)
    found: dict[str, Any] = told["batches"][0]
    return found


def test_all_is_counted_and_fine(shop: World):
    found = status(shop, 300)
    assert found["state"] == "fine"
    assert found["rows"] == {"expected": 34, "ingested": 34, "scored": 34, "without_score": 10, "judged": 34}
    assert found["reasons"] == {"cold_start": 10, "not_finite": 0, "excluded": 0, "before_start": 0, "ignored_period": 0}
    assert list(found["deliveries"]) == ["sent"]
    assert found["alerts"]["open"] == 2
    assert found["newest"]["row"] == found["newest"]["score"] == "2026-01-13T12:00:00Z"
    assert found["newest"]["model"] == "2026-01-12T16:00:01Z"
    assert found["newest"]["delivery"] == "2026-01-13T12:00:01Z"
    assert found["oldest_undelivered"] is None


def test_a_corrected_value_waits_and_soon_needs_attention(shop: World):
    shop.put(series("orders", 301, spikes=(298,)).filter(pl.col("metric_timestamp") == START + HOUR * 298))
    shop.run("ingest", as_of=at(300))
    found = status(shop, 300, code=3)
    assert (found["rows"]["ingested"], found["rows"]["judged"]) == (34, 33)
    assert found["waiting_metrics"] == ["orders"]
    assert found["oldest_waiting"] == "2026-01-13T10:00:00Z"
    shop.run("score", as_of=at(300))
    assert status(shop, 300)["rows"]["judged"] == 34


def test_a_row_that_just_came_needs_no_attention(shop: World):
    shop.put(series("orders", 302).tail(1))
    shop.run("ingest", as_of=at(301))
    assert status(shop, 301)["rows"]["judged"] == 33
    assert status(shop, 301.5, code=3)["waiting_metrics"] == ["orders"]


def test_a_metric_that_stops_is_silent_and_its_neighbour_goes_on(shop: World):
    shop.put(series("new", 331).tail(30))
    shop.run("ingest", "score", "alert", as_of=at(330))
    found = status(shop, 330, code=3)
    assert found["silent_metrics"] == ["orders"]
    assert found["rows"]["expected"] == 48
    assert "1 metric without a new row since 2026-01-13T18:00Z: orders" in found["troubles"]


def test_a_batch_that_stopped_long_ago_needs_attention(shop: World):
    found = status(shop, 2000, code=3)
    assert found["troubles"] == ["no new row since 2026-01-13T12:00Z"]


def test_the_window_is_asked_for_in_hours_or_by_its_beginning(shop: World):
    assert status(shop, 300, "--hours", "5")["rows"]["ingested"] == 10
    assert status(shop, 300, "--since", (START + HOUR * 290).isoformat())["rows"]["ingested"] == 21
    assert status(shop, 300, "--since", "2d")["rows"]["ingested"] == 58


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--hours", "1", "--since", "1d"], "give one of them"),
        (["--since", "2030-01-01"], "is not in the past"),
        (["--since", "tuesday"], "no ISO 8601 time"),
        (["--hours", "0"], "should be greater than or equal to"),
        (["nobody"], "there is no batch 'nobody'"),
    ],
)
def test_wrong_words_are_exit_code_2(shop: World, words: list[str], told: str):
    result = invoke(shop, "status", "--as-of", at(300).isoformat(), *words)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


def test_a_failed_delivery_is_told_with_its_error_and_next_attempt(shop: World, monkeypatch: pytest.MonkeyPatch):
    shop.put(series("orders", 311, spikes=(310,)).tail(10))
    path = shop.folder / "metrics" / "shop" / "shop.yaml"
    path.write_text(path.read_text() + "alert_methods: email\n")
    settings = {"HOST": "127.0.0.1", "PORT": "1", "SENDER": "a@example.org", "RECIPIENTS": "b@example.org"}
    for name, value in settings.items():  # nothing listens on port 1
        monkeypatch.setenv(f"ANOMFLOW_EMAIL_{name}", value)
    shop.run("ingest", "score", "alert", as_of=at(310))
    found = status(shop, 310, code=3)
    assert found["deliveries"]["failed"] == 1
    assert found["oldest_undelivered"] == "2026-01-13T22:00:01Z"
    assert "by email failed 1 times, next attempt 2026-01-13T22:00Z" in found["troubles"][0]


def test_batches_that_are_off_or_broken_or_new_stand_beside_the_others(shop: World):
    shop.configure("disable_batch: true\n", batch="off")
    shop.configure("shards: many\n", batch="wrong")
    shop.configure(batch="fresh")
    rows = read(shop, "status", "--as-of", at(300).isoformat(), code=3)["batches"]
    assert {row["batch"]: row["state"] for row in rows} == {"fresh": "attention", "off": "disabled", "shop": "fine", "wrong": "broken"}
    assert [row["troubles"] for row in rows][:2] == [["nothing was ingested yet"], []]


def test_a_table_for_people_says_what_needs_attention(shop: World):
    result = invoke(shop, "status", "shop", "--as-of", (at(300) + timedelta(days=9)).isoformat())
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-1] == "attention: shop: no new row since 2026-01-13T12:00Z"
