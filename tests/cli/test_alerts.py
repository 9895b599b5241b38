"""`anomflow alerts`: lists, one alert with all that is known of it, resolving by hand; nothing is ever sent by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands_run import invoke, read
from tests.cli.terminal import talk
from tests.world import START, Clock, World, at, series

SPIKE = 390


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """An open alert that no message tells of yet, snoozed ones after it, a threshold alert."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    world = World(tmp_path, Clock(START))
    world.put(series("orders", 401, spikes=(SPIKE,)))
    world.configure("alert_threshold: 0.7\nmetric_tags: {orders: {team: '[red]x'}}\ntholdalert_thresholds: {orders: {upper: 250}}\n")
    world.run("ingest", "train", "score", as_of=at(380))
    world.run("ingest", "score", as_of=at(400))
    return world


def listed(world: World, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read(world, "alerts", *words)["alerts"]
    return rows


def open_anomaly(world: World) -> str:
    (alert,) = listed(world, "shop", "--status", "open", "--kind", "anomaly")
    return str(alert["alert_id"])


def test_alerts_are_listed_from_new_to_old_with_all_their_facts(shop: World):
    rows = listed(shop)
    assert len(rows) == shop.alerts().height
    times = [row["metric_timestamp"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert rows[0]["tags"] == {"team": "[red]x"}
    assert {row["kind"] for row in rows} == {"anomaly", "threshold"}


@pytest.mark.parametrize(
    ("words", "equal"),
    [
        (["--status", "open"], {"status": "open"}),
        (["--status", "snoozed", "--kind", "anomaly"], {"status": "snoozed", "kind": "anomaly"}),
        (["list", "shop", "--kind", "threshold"], {"kind": "threshold"}),
        (["--metric", "ord*"], {"metric_name": "orders"}),
        (["--since", at(SPIKE - 1).isoformat(), "--until", at(SPIKE).isoformat()], {"metric_timestamp": at(SPIKE).replace(second=0)}),
    ],
)
def test_filters_keep_what_they_say(shop: World, words: list[str], equal: dict[str, object]):
    found = {row["alert_id"] for row in listed(shop, *words)}
    assert found == set(shop.alerts(**equal)["alert_id"])
    assert found


def test_a_metric_that_no_pattern_meets_has_none(shop: World):
    assert listed(shop, "--metric", "orde") == []


def test_the_limit_cuts_and_the_total_stays(shop: World):
    told = read(shop, "alerts", "--limit", "2")
    assert (len(told["alerts"]), told["total"]) == (2, shop.alerts().height)
    assert "2 of " in invoke(shop, "alerts", "--limit", "2").stderr


def test_a_table_shows_the_beginnings_of_ids_that_show_takes(shop: World):
    line = invoke(shop, "alerts", "shop", "--status", "open", "--kind", "anomaly").stdout.splitlines()[1]
    told = read(shop, "alerts", "show", line.split()[0])
    assert told["alert"]["alert_id"] == open_anomaly(shop)
    assert "anomaly score" in told["explanation"]
    assert told["deliveries"] == []


def test_show_tells_what_became_of_the_message(shop: World):
    shop.run("alert", as_of=at(400))
    (delivery,) = read(shop, "alerts", "show", open_anomaly(shop))["deliveries"]
    assert (delivery["channel"], delivery["state"], delivery["sent_at"]) == ("file", "sent", "2026-01-17T16:00:01Z")
    assert "delivery by file" in invoke(shop, "alerts", "show", open_anomaly(shop)).stdout


def test_an_alert_resolved_before_its_message_is_never_told(shop: World):
    told = read(shop, "alerts", "resolve", open_anomaly(shop), "--reason", "load\x1b test", "--yes")
    assert told["alerts"][0]["resolved"]
    (alert,) = shop.alerts(kind="anomaly", metric_timestamp=at(SPIKE).replace(second=0)).to_dicts()
    assert alert["status"] == "resolved"
    assert "(load test); " in alert["reason"]
    shop.run("alert", "ingest", "score", "alert", as_of=at(400))
    assert shop.alerts(kind="anomaly", metric_timestamp=at(SPIKE).replace(second=0))["message_id"].to_list() == [None]


def test_resolving_sends_nothing_again_and_twice_is_refused(shop: World):
    shop.run("alert", as_of=at(400))
    sent = shop.table("_deliveries")
    chosen = open_anomaly(shop)
    assert read(shop, "alerts", "resolve", chosen, "--yes")["alerts"][0]["resolved"]
    shop.run("ingest", "score", "alert", as_of=at(400))
    assert shop.table("_deliveries").rows() == sent.rows()
    told = read(shop, "alerts", "resolve", chosen, "--yes", code=1)
    assert told["alerts"][0]["result"].startswith("not changed: the alert is resolved")


def test_only_open_alerts_are_resolved_and_the_others_named_too(shop: World):
    snoozed = listed(shop, "--status", "snoozed")[0]["alert_id"]
    told = read(shop, "alerts", "resolve", snoozed, open_anomaly(shop), "--yes", code=1)
    assert [row["resolved"] for row in told["alerts"]] == [False, True]
    assert shop.alerts(alert_id=snoozed)["status"].item() == "snoozed"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["resolve", "{id}"], "nobody is there to ask; say --yes"),
        (["resolve", "%%%%", "--yes"], "is not the id of an alert"),
        (["show", ""], "is not the id of an alert"),
        (["show", "0000000"], "no alert has an id that begins with"),
        (["list", "--status", "closed"], "they are open, snoozed, late, resolved"),
        (["nobody"], "there is no batch 'nobody'"),
    ],
)
def test_wrong_words_are_exit_code_2_and_change_nothing(shop: World, words: list[str], told: str):
    before = shop.snapshot
    result = invoke(shop, "alerts", *(word.format(id=open_anomaly(shop)) for word in words))
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert shop.snapshot == before


def test_a_beginning_of_several_ids_is_refused_and_they_are_named(shop: World):
    chosen = ", ".join(f"'{row['alert_id']}'" for row in listed(shop)[:2])
    change = "update metrics_alerts set alert_id = concat('aaaa', substr(alert_id, 5))"
    shop.sql(f"{change} where alert_id in ({chosen})")
    result = invoke(shop, "alerts", "resolve", "aaaa", "--yes")
    assert result.exit_code == 2
    assert "begins the ids of 2 alerts" in result.stderr
    assert shop.alerts(status="resolved").is_empty()


def test_a_broken_neighbour_is_told_of_and_the_alerts_shown(shop: World):
    shop.configure("shards: many\n", batch="wrong")
    result = invoke(shop, "alerts")
    assert result.exit_code == 0
    assert "error: wrong: " in result.stderr
    assert "orders" in result.stdout
    assert invoke(shop, "alerts", "wrong").exit_code == 1


@pytest.mark.parametrize(("answer", "status"), [("y\n", "resolved"), ("n\n", "open")])
def test_in_a_terminal_it_asks(shop: World, answer: str, status: str):
    chosen = open_anomaly(shop)
    words = ["--metrics", str(shop.folder / "metrics"), "alerts", "resolve", chosen]
    shown = talk(words, {"Resolve 1 alert?": answer})
    assert "orders" in shown
    assert shop.alerts(alert_id=chosen)["status"].item() == status
