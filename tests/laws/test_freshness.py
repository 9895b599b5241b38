"""Freshness: one alert for each outage, in one message for a batch, and none where pauses are usual."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tests.world import HOUR, START


@pytest.fixture
def silent(world, mailbox, series, at):
    """Two metrics that stop after 400 hours, and one that goes on."""
    world.configure("alert_methods: [email]\n")
    rows = [series("orders", 400, seed=2), series("sales", 400, seed=3), series("visits", 410, seed=4)]
    world.put(pl.concat(rows))
    world.run("ingest", "alert", as_of=at(399))
    assert mailbox.mails == []
    return world


@pytest.mark.parametrize("database", ["duckdb", "sqlite"])
def test_metrics_that_fall_silent_are_told_once_in_one_message(silent, mailbox, at, database):
    silent.configure(f"alert_methods: [email]\ndb: {database}\ningest_db: duckdb\n")
    outcomes = [silent.run("ingest", "alert", as_of=at(hour))[1] for hour in (402, 404, 406, 409)]
    assert [outcome.counts["overdue"] for outcome in outcomes] == [0, 2, 0, 0]
    assert len(mailbox.mails) == 1
    text = mailbox.mails[0].get_body(("plain",)).get_content()
    assert "orders is overdue: no new value" in text
    assert "sales is overdue" in text
    assert "visits" not in text
    assert "no row since 2026-01-17 15:00 UTC" in text


def test_the_same_run_again_adds_no_row_and_sends_nothing(silent, mailbox, at):
    silent.run("ingest", "alert", as_of=at(404))
    before = silent.snapshot
    silent.run("ingest", "alert", as_of=at(404))
    assert silent.snapshot == before
    assert len(mailbox.mails) == 1


def test_a_second_outage_is_another_alert(silent, mailbox, series, at):
    silent.run("ingest", "alert", as_of=at(404))
    silent.put(series("orders", 430, seed=2)[404:])
    silent.run("ingest", "alert", as_of=at(430))
    assert len(mailbox.mails) == 2 - 1 + 1 * silent.alerts(kind="freshness", metric_name="visits").height
    silent.run("ingest", "alert", as_of=at(440))
    of_orders = silent.alerts(kind="freshness", metric_name="orders").sort("metric_timestamp")
    assert of_orders["metric_timestamp"].to_list() == [START + 399 * HOUR, START + 429 * HOUR]
    assert of_orders["status"].to_list() == ["open", "open"]


def test_nights_and_weekends_are_usual_for_a_metric_of_business_hours(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    time = pl.col("metric_timestamp")
    rows = series("orders", 24 * 56).filter(time.dt.hour().is_between(8, 17), time.dt.weekday() < 6)
    world.put(rows)
    world.run("ingest", as_of=at(24 * 56))
    overdue = [world.run("alert", as_of=at(hour))[0].counts["overdue"] for hour in range(24 * 10, 24 * 56, 11)]
    assert sum(overdue) == 0


def test_a_metric_given_up_long_ago_is_late_and_pages_nobody(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 400))
    world.run("ingest", "alert", as_of=at(400 + 24 * 10))
    assert world.alerts(kind="freshness")["status"].to_list() == ["late"]
    assert mailbox.mails == []


@pytest.mark.parametrize("setting", ["disable_freshness: true", "alert_exclude_metrics: [orders]"])
def test_freshness_can_be_switched_off(world, mailbox, series, at, setting):
    world.configure(f"alert_methods: [email]\n{setting}\n")
    world.put(series("orders", 400))
    world.run("ingest", "alert", as_of=at(410))
    assert world.table("_alerts").is_empty()


def test_a_given_age_holds_from_the_first_row_on(world, mailbox, series, at):
    world.configure("alert_methods: [email]\nfreshness_max_age: 90min\n")
    world.put(series("orders", 1))
    world.run("ingest", "alert", as_of=at(1))
    assert mailbox.mails == []
    world.run("alert", as_of=at(0) + timedelta(minutes=91))
    assert len(mailbox.mails) == 1


def test_a_new_metric_may_pause_for_days_that_nobody_has_seen_yet(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 48))
    world.run("ingest", "alert", as_of=at(100))
    assert mailbox.mails == []
    world.run("alert", as_of=at(47 + 73))
    assert len(mailbox.mails) == 1
