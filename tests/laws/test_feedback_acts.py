"""Feedback through the jobs, on each engine: what it raises and forgets, again and back, and that every row is judged once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from anomflow.ledger.feedback import Given, Opinion, record_feedback
from tasks.models import pin_version
from tests.world import START, World, at, series

SPIKE, NEXT = 130, 160
NAME = "orders"
ROWS = series(NAME, 180, (SPIKE, NEXT))


@pytest.fixture(params=["duckdb"])
def shop(request: pytest.FixtureRequest, world: World) -> World:
    """A metric that was trained on and judged up to a spike, which alerted."""
    world.configure(f"db: {request.param}\ningest_db: duckdb\n")
    world.put(ROWS.head(SPIKE + 1))
    world.run("ingest", "train", as_of=at(SPIKE - 1))
    world.run("ingest", "score", as_of=at(SPIKE))
    return world


on_each_engine = pytest.mark.parametrize("shop", ["duckdb", "sqlite"], indirect=True)


def read(world: World, table: str = "metrics", **equal: object) -> pl.DataFrame:
    with world.open(at(0)).warehouse.reading() as session:
        conditions = [f"{session.identifier(column)} = {session.literal(value)}" for column, value in equal.items()]
        return session.read(f"select * from {table} where {' and '.join(conditions) or 'true'}")


def hour(number: int) -> Any:
    return START + timedelta(hours=number)


def alert_at(world: World, number: int = SPIKE) -> dict[str, Any]:
    (alert,) = read(world, "metrics_alerts", kind="anomaly", metric_timestamp=hour(number)).to_dicts()
    return alert


def say(world: World, word: str, note: str = "", number: int = SPIKE, seconds: int = 0) -> Given:
    opinion = Opinion(alert_at(world, number)["alert_id"], word, note, at(SPIKE + 1) + timedelta(seconds=seconds))
    with world.open(at(0)).warehouse.writing() as session:
        return record_feedback(session, "metrics", opinion)


def learned(world: World) -> tuple[int, list[float]]:
    """Return how many rows the newest model of the metric has seen, and the newest of their values."""
    pinned, _ = pin_version(world.open(at(0)).shelf, at(10_000))
    assert pinned is not None
    state = pinned.models[0].states[NAME]
    return state.rows, state.values.tolist()


def score_at(world: World, number: int) -> dict[str, Any]:
    (metadata,) = read(world, metric_type="score", metric_timestamp=hour(number))["metadata"]
    return dict(json.loads(metadata))


def unevenly_judged(world: World) -> pl.DataFrame:
    """Return the points with anything else than one value and one score."""
    rows = pl.concat([read(world, metric_type=kind).select("metric_timestamp", "metric_type") for kind in ("metric", "score")])
    counted = rows.group_by("metric_timestamp").agg(n=pl.len(), kinds=pl.col("metric_type").n_unique())
    return counted.filter((pl.col("n") != 2) | (pl.col("kinds") != 2))


@on_each_engine
def test_a_rejected_alert_raises_the_threshold_of_later_rows_only(shop: World):
    before = score_at(shop, SPIKE)
    assert say(shop, "down", "month end").changed
    shop.put(ROWS.head(NEXT + 1))
    shop.run("ingest", "score", as_of=at(NEXT))
    assert score_at(shop, SPIKE) == before
    later = score_at(shop, NEXT)
    assert later["threshold"] > before["threshold"]
    assert later["explanation"].endswith("threshold raised by 1 rejected alert")
    assert unevenly_judged(shop).is_empty()


def test_feedback_that_may_not_act_is_kept_only(shop: World):
    say(shop, "down")
    path = shop.folder / "metrics" / "shop" / "shop.yaml"
    path.write_text(path.read_text() + "feedback_acts: false\n")
    shop.put(ROWS.head(NEXT + 1))
    shop.run("ingest", "score", as_of=at(NEXT))
    assert score_at(shop, NEXT)["threshold"] == score_at(shop, SPIKE)["threshold"]
    assert alert_at(shop)["feedback"] == "down"


@pytest.mark.parametrize(("shop", "word"), [("duckdb", "up"), ("sqlite", "expected")], indirect=["shop"])
def test_a_confirmed_row_is_not_learned_until_that_is_taken_back(shop: World, word: str):
    shop.run("train", as_of=at(SPIKE))
    whole = learned(shop)
    say(shop, word)
    assert shop.run("train", as_of=at(SPIKE + 0.1))[0].counts["metrics_rebuilt"] == 1
    rows, values = learned(shop)
    assert (rows, values) == (whole[0] - 1, whole[1][:-1])
    assert shop.run("train", as_of=at(SPIKE + 0.2))[0].counts["metrics_continued"] == 1
    assert say(shop, "none").changed
    shop.run("train", as_of=at(SPIKE + 0.3))
    assert learned(shop) == whole
    assert alert_at(shop)["feedback"] is None


def test_a_rejected_row_is_learned(shop: World):
    shop.run("train", as_of=at(SPIKE))
    whole = learned(shop)
    say(shop, "down")
    shop.run("train", as_of=at(SPIKE + 0.1))
    assert learned(shop) == whole


def test_the_rows_of_an_incident_that_reach_their_threshold_are_not_learned(shop: World):
    high = ROWS.head(SPIKE + 12).with_columns(
        metric_value=pl.when(pl.col("metric_timestamp") == hour(SPIKE + 3)).then(900.0).otherwise("metric_value")
    )
    shop.put(high)
    shop.run("ingest", "score", "train", as_of=at(SPIKE + 11))
    assert read(shop, "metrics_alerts", metric_timestamp=hour(SPIKE + 3))["status"].to_list() == ["snoozed"]
    rows, _ = learned(shop)
    say(shop, "up")
    shop.run("train", as_of=at(SPIKE + 11.1))
    fewer, values = learned(shop)
    assert fewer < rows
    assert max(values) < 200


def test_all_of_it_again_changes_nothing(shop: World):
    say(shop, "up", "a real one")
    shop.run("ingest", "train", "score", "alert", as_of=at(SPIKE))
    tables = ("metrics", "metrics_alerts", "metrics_deliveries")
    before = [read(shop, table).rows() for table in tables]
    assert say(shop, "up", "a real one", seconds=60) == Given(found=True)
    shop.run("ingest", "train", "score", "alert", as_of=at(SPIKE))
    assert [read(shop, table).rows() for table in tables] == before


def test_a_corrected_value_of_a_confirmed_row_is_judged_again_and_its_feedback_is_void(shop: World):
    say(shop, "up")
    shop.run("train", as_of=at(SPIKE))
    without, _ = learned(shop)
    shop.put(series(NAME, SPIKE + 1).tail(1))
    shop.run("ingest", "score", "train", as_of=at(SPIKE + 0.1))
    assert unevenly_judged(shop).is_empty()
    assert score_at(shop, SPIKE)["A"] is not None
    assert alert_at(shop)["reason"].startswith("corrected")
    assert learned(shop)[0] == without + 1


def test_rows_after_a_confirmed_one_are_judged_once_whatever_is_learned(shop: World):
    say(shop, "up")
    for last in (SPIKE + 5, NEXT, NEXT + 10):
        shop.put(ROWS.head(last + 1))
        shop.run("ingest", "score", "train", as_of=at(last))
    assert unevenly_judged(shop).is_empty()
    assert alert_at(shop, NEXT)["status"] == "open"


def test_an_expected_alert_is_resolved_and_never_told(shop: World):
    assert say(shop, "expected", "load test").resolved
    assert alert_at(shop)["status"] == "resolved"
    assert "(expected: load test); " in alert_at(shop)["reason"]
    shop.run("alert", as_of=at(SPIKE))
    assert (alert_at(shop)["message_id"], alert_at(shop)["feedback_note"]) == (None, "load test")


@on_each_engine
def test_the_table_of_rows_shows_the_last_word(shop: World):
    shown = {}
    for word in ("up", "down", "up", "expected", "down", "none"):
        say(shop, word, "it's")
        shown[word] = [kind for kind in ("thumbsup", "thumbsdown") for _ in read(shop, metric_type=kind).rows()]
    assert shown == {"up": ["thumbsup"], "down": ["thumbsdown"], "expected": [], "none": []}


def test_an_alert_that_is_not_there_is_said_not_to_be(shop: World):
    with shop.open(at(0)).warehouse.writing() as session:
        assert record_feedback(session, "metrics", Opinion("none such", "down", "", at(0))) == Given()


@on_each_engine
def test_a_ledger_of_an_earlier_version_takes_feedback(shop: World):
    with shop.open(at(0)).warehouse.writing() as session:
        for column in ("feedback", "feedback_at", "feedback_note"):
            session.execute(f"alter table metrics_alerts drop column {column}")
    shop.run("ingest", "train", "score", as_of=at(SPIKE))
    assert say(shop, "down").changed
    assert (alert_at(shop)["feedback"], alert_at(shop)["status"]) == ("down", "open")
