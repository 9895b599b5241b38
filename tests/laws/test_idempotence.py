"""Law 2: running anything again changes nothing; a corrected value is judged again and its alert withdrawn."""

from __future__ import annotations

import polars as pl
import pytest


@pytest.fixture
def ran(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", "score", "alert", as_of=at(329))
    return world


@pytest.mark.parametrize("job", ["ingest", "train", "score", "change", "alert", "pipeline"])
def test_the_same_run_twice_adds_no_row_and_sends_no_message(ran, mailbox, at, job):
    before, sent = ran.snapshot, len(mailbox.mails)
    ran.run(job, as_of=at(329))
    assert ran.snapshot == before
    assert sent == len(mailbox.mails) == 1


def test_corrected_value_is_judged_again_and_its_alert_resolved(ran, mailbox, series, at):
    ran.put(series("orders", 330)[327:328])
    ran.run("ingest", "score", "alert", as_of=at(329))
    assert ran.status_at(327) == "resolved"
    assert ran.alerts(status="resolved")["reason"][0].startswith("corrected")
    assert ran.uncovered(at(0)).height == 0
    assert len(mailbox.mails) == 1


def test_correction_before_delivery_cancels_the_message(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", "score", as_of=at(329))
    world.put(series("orders", 330)[327:328])
    world.run("ingest", "score", "alert", as_of=at(329))
    assert mailbox.mails == []
    assert world.status_at(327) == "resolved"


def test_value_that_turns_bad_again_is_not_sent_again(ran, mailbox, series, at):
    bad = series("orders", 330, spikes=[327])[327:328]
    ran.put(series("orders", 330)[327:328])
    ran.run("ingest", "score", "alert", as_of=at(329))
    ran.put(bad.with_columns(pl.col("metric_value") + 1))
    ran.run("ingest", "score", "alert", as_of=at(329))
    assert ran.status_at(327) == "open"
    assert len(mailbox.mails) == 1


def test_correction_by_other_hands_heals(ran, at):
    ran.sql(
        "update metrics set metric_value = 101 where metric_type = 'metric' and metric_timestamp = timestamptz '2026-01-13 00:00:00+00'"
    )
    ran.run("train", "score", as_of=at(329.5))
    assert ran.uncovered(at(0)).is_empty()
