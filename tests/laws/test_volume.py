"""Volume: one alert for a batch that brings few of its metrics, in their stead, until they are back."""

from __future__ import annotations

import polars as pl
import pytest

from tests.world import HOUR, START

LAST = 24 * 21
NAMES = [f"orders_{number}" for number in range(6)]


@pytest.fixture
def dropped(world, mailbox, series, at):
    """Six hourly metrics known for three weeks, of which two came at the last four hours."""
    world.configure("alert_methods: [email]\n")
    rows = [series(name, LAST + 1 if name in NAMES[:2] else LAST - 3, seed=2) for name in NAMES]
    world.put(pl.concat(rows))
    world.run("ingest", "alert", as_of=at(LAST - 4))
    assert mailbox.mails == []
    return world


@pytest.mark.parametrize("database", ["duckdb", "sqlite"])
def test_a_drop_is_told_once_and_its_metrics_are_not_told_as_overdue(dropped, mailbox, at, database):
    dropped.configure(f"alert_methods: [email]\ndb: {database}\ningest_db: duckdb\n")
    outcomes = [dropped.run("ingest", "alert", as_of=at(LAST - 3 + 0.9 * hour))[1] for hour in range(5)]
    assert [outcome.counts["drops_in_volume"] for outcome in outcomes] == [0, 1, 0, 0, 0]
    assert sum(outcome.counts["overdue"] for outcome in outcomes) == 0
    (mail,) = mailbox.mails
    text = mail.get_body(("plain",)).get_content()
    assert "all metrics have dropped in number (2, expected at least 6)" in text
    assert "not there since 2026-01-21 21:00 UTC: orders_2, orders_3, orders_4, orders_5" in text


def test_the_same_run_again_adds_no_row_and_sends_nothing(dropped, mailbox, at):
    dropped.run("ingest", "alert", as_of=at(LAST))
    before = dropped.snapshot
    dropped.run("ingest", "alert", as_of=at(LAST))
    assert dropped.snapshot == before
    assert len(mailbox.mails) == 1


def test_metrics_that_are_back_resolve_it_and_have_no_gaps_to_tell(dropped, mailbox, series, at):
    dropped.run("ingest", "alert", as_of=at(LAST))
    dropped.put(pl.concat([series(name, LAST + 4, seed=2)[LAST + 1 :] for name in NAMES]))
    for hour in (1, 2, 3, 5):
        dropped.run("ingest", "alert", as_of=at(LAST + hour))
    alerts = dropped.alerts()
    assert alerts.select("kind", "status", "metric_timestamp").rows() == [("volume", "resolved", START + (LAST - 3) * HOUR)]
    assert alerts["reason"][0].startswith("recovered by ")
    assert len(mailbox.mails) == 1
    before = dropped.snapshot
    dropped.run("alert", as_of=at(LAST), send=False)
    assert dropped.snapshot == before


def test_metrics_that_stay_away_when_enough_are_back_are_overdue(dropped, mailbox, series, at):
    dropped.run("ingest", "alert", as_of=at(LAST))
    dropped.put(pl.concat([series(name, LAST + 4, seed=2)[LAST + 1 :] for name in NAMES[:4]]))
    for hour in (1, 2, 3):
        dropped.run("ingest", "alert", as_of=at(LAST + hour))
    assert dropped.alerts(kind="volume")["status"].to_list() == ["resolved"]
    assert dropped.alerts(kind="freshness")["metric_name"].to_list() == NAMES[4:]
    assert len(mailbox.mails) == 2


def test_a_drop_that_a_first_run_finds_late_pages_nobody(dropped, mailbox, series, at):
    dropped.put(pl.concat([series(name, LAST + 48, seed=2)[LAST + 1 :] for name in NAMES[:2]]))
    dropped.run("ingest", "alert", as_of=at(LAST + 47))
    assert dropped.alerts(kind="volume")["status"].to_list() == ["late"]
    assert not any("all metrics" in str(mail["Subject"]) for mail in mailbox.mails)


@pytest.mark.parametrize("setting", ["disable_volume: true", "alert_include_metrics: [orders_0]", "volume_min_share: 0.2"])
def test_volume_can_be_left_alone(dropped, at, setting):
    dropped.configure(f"alert_methods: [email]\n{setting}\n")
    dropped.run("ingest", "alert", as_of=at(LAST - 1))
    assert dropped.table("_alerts").is_empty()
