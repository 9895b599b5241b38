"""`anomflow feedback`: what is said of an alert, what the command tells of it, its list, its effect by a replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.cli.commands_run import invoke, read
from tests.world import START, Clock, World, at, series

SPIKE = 130
MILD = 50


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """An open anomaly alert and an open threshold alert, of the same spike."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    world = World(tmp_path, Clock(START))
    world.put(series("orders", SPIKE + 1, spikes=(SPIKE,)))
    world.configure("tholdalert_thresholds: {orders: {upper: 250}}\n")
    world.run("ingest", "train", as_of=at(SPIKE - 1))
    world.run("ingest", "score", as_of=at(SPIKE))
    return world


def alert_of(world: World, kind: str = "anomaly") -> dict[str, Any]:
    (alert,) = read(world, "alerts", "shop", "--status", "open", "--kind", kind)["alerts"]
    return dict(alert)


def say(world: World, word: str, *more: str, kind: str = "anomaly") -> dict[str, Any]:
    return dict(read(world, "feedback", alert_of(world, kind)["alert_id"][:8], word, *more))


def test_an_alert_is_rejected_by_the_beginning_of_its_id_and_that_is_taken_back(shop: World):
    told = say(shop, "down", "--note", "month\x1b end")
    assert (told["changed"], told["resolved"]) == (True, False)
    alert = alert_of(shop)
    assert (alert["feedback"], alert["feedback_note"]) == ("down", "month end")
    assert not say(shop, "down", "--note", "month end")["changed"]
    (listed,) = read(shop, "feedback", "--list")["alerts"]
    assert listed["alert_id"] == alert["alert_id"]
    assert "month end" in invoke(shop, "feedback", "--list").stdout
    assert say(shop, "none")["changed"]
    assert read(shop, "feedback", "--list") == {"alerts": [], "problems": []}


def test_the_command_says_what_follows(shop: World):
    # The clock of the command is the real one, by which the alerts of the world may be too old to count.
    assert "learned as all others; the threshold is not raised" in say(shop, "down", "--note", "a")["result"]
    shop.configure("feedback_days: 100000\n")
    assert say(shop, "down", "--note", "b")["result"].endswith("threshold raised by 1 rejected alert")
    assert "the threshold is the one that you set" in say(shop, "up", kind="threshold")["result"]
    shop.configure("alert_threshold: 0.7\n")
    assert "alert_threshold is set" in say(shop, "down", "--note", "c")["result"]
    shop.configure("feedback_acts: false\n")
    assert "feedback_acts is false" in say(shop, "down", "--note", "d")["result"]
    chosen = alert_of(shop)["alert_id"]
    shop.configure()
    assert read(shop, "feedback", chosen, "expected")["resolved"]
    assert read(shop, "feedback", chosen, "none")["result"].endswith("the alert stays resolved")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["0" * 8, "down"], "no alert has an id"),
        (["0" * 8, "bad"], "'bad' is no feedback"),
        (["0" * 8], "say one of these"),
        ([], "name an alert and a word"),
        (["0" * 8, "down", "--list"], "name an alert and a word"),
        (["x;drop", "down"], "is not the id of an alert"),
        (["--effect", "none"], "no batch"),
    ],
)
def test_wrong_words_are_refused(world: World, words: list[str], told: str):
    world.configure()
    result = invoke(world, "feedback", *words)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())


def test_the_effect_shows_the_alerts_that_go_and_those_that_stay(shop: World):
    shop.configure("feedback_days: 100000\n")
    # Of all that is odd here a value a little too high is the least so.
    rows = series("orders", 260, spikes=(SPIKE,)).with_row_index("row")
    shop.put(rows.with_columns(metric_value=pl.col("metric_value") + MILD * (pl.col("row") == 250)).drop("row"))
    shop.run("ingest", "score", as_of=at(259))
    before = read(shop, "feedback", "--effect", "shop")
    assert (before["appear"], before["go"], before["stay"]) == ([], [], len(before["present"]["alerts"]))
    (mild,) = read(shop, "alerts", "shop", "--kind", "anomaly", "--since", at(249).isoformat())["alerts"]
    read(shop, "feedback", mild["alert_id"], "down")
    after = read(shop, "feedback", "--effect", "shop")
    assert [gone["metric_timestamp"] for gone in after["go"]] == [mild["metric_timestamp"]]
    assert (after["appear"], after["stay"]) == ([], len(after["present"]["alerts"]) - 1)
    assert after["stay"] > 0
    assert "without feedback" in invoke(shop, "feedback", "--effect", "shop").stdout


def test_a_confirmed_alert_stays_in_a_replay_that_forgets_its_row(shop: World):
    chosen = alert_of(shop)
    read(shop, "feedback", chosen["alert_id"], "up")
    told = read(shop, "feedback", "--effect", "shop")
    assert chosen["metric_timestamp"] in {alert["metric_timestamp"] for alert in told["proposed"]["alerts"]}
    assert told["proposed"]["rows"] == told["present"]["rows"] == SPIKE + 1
