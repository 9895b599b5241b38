"""Missing rows: one alert for each gap of a regular metric, none for what freshness told, resolved when the gap is filled."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tests.world import HOUR, START

LAST = 24 * 21


@pytest.fixture
def lossy(world, mailbox, series, at):
    """Two hourly metrics known for three weeks, one of which lacks the two rows before its last."""
    world.configure("alert_methods: [email]\n")
    orders = series("orders", LAST + 1, seed=2)
    world.put(pl.concat([orders[: LAST - 2], orders[LAST:], series("sales", LAST + 1, seed=3)]))
    world.run("ingest", as_of=at(LAST))
    return world


@pytest.mark.parametrize("database", ["duckdb", "sqlite"])
def test_a_gap_is_told_once_after_its_grace(lossy, mailbox, at, database):
    lossy.configure(f"alert_methods: [email]\ndb: {database}\ningest_db: duckdb\n")
    outcomes = [lossy.run("ingest", "alert", as_of=at(LAST + hour))[1] for hour in (0.1, 1, 2, 3)]
    assert sum(outcome.counts["with_missing_rows"] for outcome in outcomes) == 1
    assert outcomes[0].counts["with_missing_rows"] == 0
    (mail,) = mailbox.mails
    text = mail.get_body(("plain",)).get_content()
    assert "orders has missing rows" in text
    assert "2 rows are missing between 2026-01-21 21:00 UTC and 2026-01-22 00:00 UTC; usually there is one every 1 h" in text


def test_the_same_run_again_adds_no_row_and_sends_nothing(lossy, mailbox, at):
    lossy.run("alert", as_of=at(LAST + 2))
    before = lossy.snapshot
    lossy.run("ingest", "alert", as_of=at(LAST + 2))
    assert lossy.snapshot == before
    assert len(mailbox.mails) == 1


def test_rows_that_are_filled_in_resolve_the_alert(lossy, series, at):
    lossy.run("alert", as_of=at(LAST + 2))
    lossy.put(series("orders", LAST - 1, seed=2)[LAST - 2 :])
    half = lossy.run("ingest", "alert", as_of=at(LAST + 2.5))[1]
    assert (half.counts["back"], lossy.alerts()["status"].to_list()) == (0, ["open"])
    lossy.put(series("orders", LAST, seed=2)[LAST - 1 :])
    whole = lossy.run("ingest", "alert", as_of=at(LAST + 3))[1]
    assert (whole.counts["back"], lossy.alerts()["status"].to_list()) == (1, ["resolved"])
    assert lossy.alerts()["reason"][0].startswith("recovered by 2026-01-22 03:00:01 UTC; 2 rows are missing")


def test_an_outage_that_freshness_told_is_not_told_again_when_data_returns(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    orders = series("orders", LAST + 1)
    world.put(orders[: LAST - 9])
    world.run("ingest", "alert", as_of=at(LAST - 1))
    assert world.alerts()["kind"].to_list() == ["freshness"]
    world.put(orders[LAST:])
    for hour in range(3):
        world.run("ingest", "alert", as_of=at(LAST + hour))
    assert world.alerts()["kind"].to_list() == ["freshness"]
    assert len(mailbox.mails) == 1


def test_gaps_that_a_first_run_finds_are_late_or_not_recorded(lossy, mailbox, series, at):
    rows = series("visits", LAST + 48, seed=5)
    lossy.put(pl.concat([rows[: LAST - 100], rows[LAST - 98 : LAST], rows[LAST + 2 :], series("orders", LAST + 48, seed=2)[LAST:]]))
    lossy.run("ingest", as_of=at(LAST + 47))
    lossy.run("alert", as_of=at(LAST + 47))
    of_gaps = lossy.alerts(kind="missing").sort("metric_timestamp")
    assert of_gaps["metric_timestamp"].to_list() == [START + LAST * HOUR, START + (LAST + 2) * HOUR]
    assert set(of_gaps["status"]) == {"late"}
    assert mailbox.mails == []


def test_a_run_over_the_past_sees_the_past_only(lossy, mailbox, at):
    early = lossy.run("alert", as_of=at(LAST - 1))[0]
    assert early.counts["with_missing_rows"] == 0
    lossy.run("alert", as_of=at(LAST + 2))
    before = lossy.alerts()
    lossy.run("alert", as_of=at(LAST - 1), send=False)
    assert lossy.alerts().equals(before)


@pytest.mark.parametrize("setting", ["disable_missing: true", "alert_exclude_metrics: [orders]", "missing_min_rows: 3"])
def test_missing_rows_can_be_left_alone(lossy, at, setting):
    lossy.configure(f"alert_methods: [email]\n{setting}\n")
    lossy.run("alert", as_of=at(LAST) + timedelta(hours=2))
    assert lossy.table("_alerts").is_empty()
