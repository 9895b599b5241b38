"""`anomflow explain`: what became of each kind of point, from its row to its delivery."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from cli.main import build_app
from tests.world import START, World, at, series

HOSTILE = ("a'; drop table metrics; --", "a/b\n", '"x" {{ y }}', "[red]b[/red]", "--json", "größe 😀")
LATE, TOLD, SNOOZED, NORMAL, UNSCORED = 300, 390, 393, 370, 401


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """A metric with two incidents close together and rows to come, one with an incident long before the first scoring, odd names."""
    orders, visits = series("orders", 402, spikes=(TOLD, SNOOZED)), series("visits", 402, spikes=(LATE,))
    world.put(pl.concat([orders, visits, *(series(name, 3) for name in HOSTILE)]))
    world.configure("alert_threshold: 0.7\nscore_metric_timestamp_max_days_ago: 30\n")
    world.run("ingest", "train", "score", "alert", as_of=at(380))
    world.run("ingest", "score", "alert", as_of=at(400))
    world.run("ingest", as_of=at(401))
    return world


def explain(world: World, *words: str, hour: float | None = None) -> Result:
    moment = [] if hour is None else [(START + timedelta(hours=hour)).isoformat()]
    arguments = ["--metrics", str(world.folder / "metrics"), "explain", *words, *moment]
    return CliRunner().invoke(build_app(), arguments)


def said(world: World, hour: float, metric: str = "orders") -> dict[str, str]:
    result = explain(world, "--json", "--", "shop", metric, hour=hour)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["batch"], told["metric"]) == ("shop", metric)
    assert datetime.fromisoformat(told["timestamp"]) == START + timedelta(hours=hour)
    lines: dict[str, str] = told["explanation"]
    return lines


def test_an_alerted_point_has_value_range_score_views_and_delivery(shop: World):
    lines = said(shop, TOLD)
    assert list(lines) == ["value", "model", "expected", "surprise", "anomaly score", "views", "anomaly alert", "delivery by file"]
    assert "at or above the threshold 0.7000" in lines["anomaly score"]
    assert lines["views"] != "none stands out"
    assert lines["anomaly alert"].startswith("open")
    assert lines["delivery by file"].startswith("sent at ")


def test_a_normal_point_is_below_its_threshold_and_has_no_alert(shop: World):
    lines = said(shop, NORMAL)
    assert "below the threshold" in lines["anomaly score"]
    assert lines["alert"] == "none"


def test_a_snoozed_point_says_so_and_has_no_message(shop: World):
    lines = said(shop, SNOOZED)
    assert lines["anomaly alert"].startswith("snoozed")
    assert lines["delivery"] == "no message"


def test_a_late_point_says_so_and_has_no_message(shop: World):
    lines = said(shop, LATE, "visits")
    assert lines["anomaly alert"].startswith("late")
    assert lines["delivery"] == "no message"


def test_an_unscored_point_waits(shop: World):
    assert said(shop, UNSCORED) == {
        "value": said(shop, UNSCORED)["value"],
        "score": "not judged yet: the next score run does",
        "alert": "none",
    }


@pytest.mark.parametrize(
    ("hour", "metric", "nearest"),
    [
        (TOLD + 0.5, "orders", "its nearest rows are of 2026-01-17T06:00:00Z and 2026-01-17T07:00:00Z"),
        (TOLD + 1000, "orders", "its nearest rows are of 2026-01-17T17:00:00Z"),
        (TOLD, "order", "there is no metric 'order'. Did you mean orders? Metrics: "),
        (TOLD, "", "there is no metric '(no name)'. Metrics: "),
    ],
)
def test_of_a_point_that_is_not_there_the_nearest_is_told(shop: World, hour: float, metric: str, nearest: str):
    lines = said(shop, hour, metric)
    assert list(lines) == ["value"]
    assert lines["value"].startswith(f"no such row: {nearest}")


def test_before_the_first_row_there_is_no_nearest(world: World):
    world.configure(batch="young")
    result = explain(world, "young", "orders", hour=1)
    assert (result.exit_code, result.stdout.split(None, 1)[1].strip()) == (0, "no such row: nothing was ingested yet")


@pytest.mark.parametrize("metric", HOSTILE)
def test_hostile_names_are_only_names(shop: World, metric: str):
    lines = said(shop, 1, metric)
    assert lines["score"] == "none: the metric has too few rows yet"
    assert shop.table().height > 800


def test_lines_for_people_stand_in_columns(shop: World):
    result = explain(shop, "shop", "orders", hour=TOLD)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith("value            ")
    assert any(line.startswith("delivery by file  sent at ") for line in result.stdout.splitlines())


def test_explaining_changes_nothing(shop: World):
    before = shop.snapshot
    said(shop, TOLD)
    assert shop.snapshot == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["shop", "orders", "noon"], 2, "no ISO 8601 time"),
        (["nobody", "orders", "2026-01-01"], 2, "nobody"),
        (["shop", "orders"], 2, "Missing argument"),
    ],
)
def test_wrong_words_are_exit_code_2(shop: World, words: list[str], code: int, told: str):
    result = explain(shop, *words)
    assert result.exit_code == code
    assert told in " ".join(result.stderr.split())
