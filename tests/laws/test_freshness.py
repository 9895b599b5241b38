"""Freshness: one alert for each outage, in one message for a batch, and none where pauses are usual."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tasks.freshness import judge_freshness
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
    assert of_orders["status"].to_list() == ["resolved", "open"]


def test_nights_and_weekends_are_usual_for_a_metric_of_business_hours(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    time = pl.col("metric_timestamp")
    rows = series("orders", 24 * 56).filter(time.dt.hour().is_between(8, 17), time.dt.weekday() < 6)
    world.put(rows)
    world.run("ingest", as_of=at(24 * 56))
    overdue = [world.run("alert", as_of=at(hour))[0].counts["overdue"] for hour in range(24 * 10, 24 * 56, 29)]
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


def test_data_that_returns_resolves_the_alert(silent, mailbox, series, at):
    silent.run("ingest", "alert", as_of=at(404))
    assert silent.alerts(kind="freshness")["status"].to_list() == ["open", "open"]
    silent.put(series("orders", 406, seed=2)[403:])
    back = silent.run("ingest", "alert", as_of=at(405))[1]
    assert back.counts["back"] == 1
    of_orders = silent.alerts(kind="freshness", metric_name="orders")
    assert of_orders["status"].to_list() == ["resolved"]
    assert of_orders["reason"][0].startswith("recovered by 2026-01-17 21:00:01 UTC; no row since")
    assert silent.alerts(kind="freshness", metric_name="sales")["status"].to_list() == ["open"]
    before = silent.snapshot
    silent.run("ingest", "alert", as_of=at(405))
    assert silent.snapshot == before
    assert len(mailbox.mails) == 1


def test_a_message_that_waits_is_cancelled_when_data_returns(world, mailbox, series, at):
    world.configure("alert_methods: [email]\ndisable_alert: true\n")
    world.put(series("orders", 400))
    world.run("ingest", as_of=at(404))
    judged = world.open(at(404))
    judge_freshness(judged.library)
    assert world.alerts(kind="freshness")["status"].to_list() == ["open"]
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 405)[400:])  # the gap is filled too
    world.run("ingest", "alert", as_of=at(405))
    assert world.alerts()["status"].to_list() == ["resolved"]
    assert mailbox.mails == []


def test_rows_that_trickle_in_while_the_metric_stays_overdue_resolve_nothing(silent, mailbox, series, at):
    silent.run("ingest", "alert", as_of=at(404))
    silent.put(series("orders", 402, seed=2)[400:])
    silent.run("ingest", "alert", as_of=at(410))
    of_orders = silent.alerts(kind="freshness", metric_name="orders").sort("metric_timestamp")
    assert of_orders["status"].to_list() == ["open", "snoozed"]
    silent.put(series("orders", 412, seed=2)[402:])
    silent.run("ingest", "alert", as_of=at(412))
    assert silent.alerts(kind="freshness", metric_name="orders")["status"].to_list() == ["resolved", "resolved"]


def test_an_outage_soon_after_one_that_ended_is_told_in_the_end(silent, mailbox, series, at):
    silent.run("ingest", "alert", as_of=at(404))
    silent.put(series("orders", 406, seed=2)[405:])
    for hour in range(405, 420):
        silent.run("ingest", "alert", as_of=at(hour))
    of_orders = silent.alerts(kind="freshness", metric_name="orders").sort("metric_timestamp")
    assert of_orders["metric_timestamp"].to_list() == [START + 399 * HOUR, START + 405 * HOUR]
    assert of_orders["status"].to_list() == ["resolved", "open"]
    texts = [mail.get_body(("plain",)).get_content() for mail in mailbox.mails]
    assert sum("orders is overdue" in text for text in texts) == 2
    assert silent.alerts(kind="freshness", metric_name="orders")["detected_at"].max() >= START + 412 * HOUR
