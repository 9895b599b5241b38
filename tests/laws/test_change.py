"""Changes of level: told once with the levels before and after, and withdrawn when values are corrected."""

from __future__ import annotations

import polars as pl
import pytest

from tests.world import HOUR, START

STEP = 600


def shifted(series, count, size=20.0):
    """A daily wave with noise of 2 whose level is another one from hour 600 on."""
    is_after = pl.col("metric_timestamp") >= START + STEP * HOUR
    return series("orders", count).with_columns(pl.when(is_after).then(pl.col("metric_value") + size).otherwise("metric_value"))


@pytest.fixture
def stepped(world, mailbox, series, at):
    """Ten hours after a step of ten standard deviations, judged hour by hour."""
    world.configure("alert_methods: [email]\ndisable_freshness: true\n")
    world.put(shifted(series, STEP))
    world.run("ingest", "change", "alert", as_of=at(STEP - 1))
    assert mailbox.mails == []
    for hour in range(STEP, STEP + 10):
        world.put(shifted(series, hour + 1)[hour:])
        world.run("ingest", "change", "alert", as_of=at(hour))
    return world


def test_a_step_of_ten_deviations_is_told_once_with_both_levels(stepped, mailbox, series, at):
    (told,) = stepped.alerts(kind="change", status="open").to_dicts()
    assert STEP <= (told["metric_timestamp"] - START) / HOUR < STEP + 10
    assert told["expected_high"] < told["metric_value"]
    assert told["reason"].startswith("the level changed from ")
    assert len(mailbox.mails) == 1
    assert "orders has changed" in mailbox.mails[0].get_body(("plain",)).get_content()
    for hour in range(STEP + 10, STEP + 60, 7):
        stepped.put(shifted(series, hour + 1)[STEP + 10 :])
        stepped.run("ingest", "change", "alert", as_of=at(hour))
    assert stepped.alerts(kind="change", status="open").height == 1
    assert len(mailbox.mails) == 1


def test_the_same_run_again_adds_no_row_and_sends_nothing(stepped, mailbox, at):
    before = stepped.snapshot
    stepped.run("change", "alert", as_of=at(STEP + 9))
    assert stepped.snapshot == before
    assert len(mailbox.mails) == 1


def test_values_that_are_corrected_withdraw_the_change(stepped, mailbox, series, at):
    stepped.put(series("orders", STEP + 10)[STEP:])
    stepped.run("ingest", "change", "alert", as_of=at(STEP + 9))
    assert stepped.alerts(kind="change", status="open").is_empty()
    assert stepped.alerts(kind="change", status="resolved").height >= 1
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("setting", ["disable_change: true", "change_exclude_metrics: [ord*]", "change_include_metrics: [sales]"])
def test_changes_can_be_switched_off(world, mailbox, series, at, setting):
    world.configure(f"alert_methods: [email]\n{setting}\n")
    world.put(shifted(series, STEP + 10))
    world.run("ingest", "change", "alert", as_of=at(STEP + 9))
    assert mailbox.mails == []


def test_history_pages_nobody(world, mailbox, series, at):
    world.configure("alert_methods: [email]\ndb: sqlite\ningest_db: duckdb\n")
    world.put(shifted(series, STEP + 60))
    outcomes = world.run("ingest", "change", "alert", as_of=at(STEP + 59))
    assert (outcomes[1].counts["late"], outcomes[1].counts["alerts"], outcomes[2].counts["messages"]) == (1, 0, 0)


def test_a_chain_that_runs_as_one_tells_a_change(world, mailbox, series, at):
    world.configure("alert_methods: [email]\nalert_exclude_metrics: ['*']\n")
    world.put(shifted(series, STEP + 5))
    world.run("pipeline", as_of=at(STEP + 4))
    assert world.alerts(kind="change", status="open").height == len(mailbox.mails) == 1
