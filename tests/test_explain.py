"""Why a point did or did not alert, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl
import pytest

from anomflow.explain import Evidence, explain, read_score
from anomflow.frames import ALERTS, DELIVERIES

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SCORE = {
    "model": "v1",
    "value": 300.0,
    "A": 2.5,
    "surprise": 4.0,
    "threshold": 0.8,
    "expected_low": 90.0,
    "expected_high": 110.0,
    "explanation": "far above the daily pattern",
}


def alerts(*rows: Mapping[str, object]) -> pl.DataFrame:
    return pl.DataFrame(
        [{**dict.fromkeys(ALERTS.columns), "kind": "anomaly", "reason": "why", **row} for row in rows], schema=ALERTS.columns
    )


def deliveries(*rows: Mapping[str, object]) -> pl.DataFrame:
    return pl.DataFrame([{**dict.fromkeys(DELIVERIES.columns), "message_id": "m", **row} for row in rows], schema=DELIVERIES.columns)


def said(
    value: float | None = 300.0,
    score: Mapping[str, object] | None = SCORE,
    told: pl.DataFrame | None = None,
    sent: pl.DataFrame | None = None,
) -> dict[str, str]:
    return dict(explain(Evidence(value, True, score, alerts() if told is None else told, deliveries() if sent is None else sent)))


def test_a_point_that_is_not_there_is_said_so():
    lines = explain(Evidence(None, False, None, alerts(), deliveries()))
    assert lines == [("value", "no such row: not ingested, or another timestamp")]


def test_an_alert_of_the_whole_batch_is_explained_without_a_row():
    told = alerts({"status": "open", "kind": "volume", "reason": "not there: orders"})
    lines = explain(Evidence(None, False, None, told, deliveries()))
    assert lines == [("volume alert", "open (told, or waiting to be); not there: orders"), ("delivery", "no message yet")]


def test_a_bucket_without_a_row_of_its_own_is_explained_by_its_score():
    lines = dict(explain(Evidence(None, False, SCORE, alerts(), deliveries())))
    assert lines["value"] == "none"
    assert lines["judged value"] == "300.0"


def test_a_point_that_alerted_is_told_with_range_views_threshold_and_delivery():
    lines = said(
        told=alerts({"status": "open", "message_id": "m"}),
        sent=deliveries({"channel": "email", "state": "sent", "attempts": 2, "sent_at": NOW}),
    )
    assert lines["value"] == "300"
    assert lines["expected"] == "90 to 110"
    assert lines["surprise"] == "4.00 (about 1 in 10,000 points)"
    assert lines["anomaly score"] == "0.8663, at or above the threshold 0.8000"
    assert lines["views"] == "far above the daily pattern"
    assert lines["anomaly alert"].startswith("open")
    assert lines["delivery by email"] == "sent at 2026-01-31 12:00:00 UTC, 2 attempts"


def test_a_normal_point_is_below_its_threshold():
    lines = said(value=100.0, score={**SCORE, "value": 100.0, "A": 0.1, "surprise": 0.2, "explanation": None})
    assert "below the threshold" in lines["anomaly score"]
    assert lines["views"] == "none stands out"
    assert lines["alert"] == "none"


@pytest.mark.parametrize(("status", "word"), [("snoozed", "alert_snooze_n"), ("late", "alert_max_age"), ("resolved", "over")])
def test_an_alert_without_message_says_what_its_status_means(status: str, word: str):
    lines = said(told=alerts({"status": status}))
    assert lines["anomaly alert"].startswith(status)
    assert word in lines["anomaly alert"]
    assert lines["delivery"] == "no message"


def test_an_open_alert_waits_for_its_message():
    assert said(told=alerts({"status": "open"}))["delivery"] == "no message yet"


def test_a_failed_delivery_is_told_with_its_error_and_others_are_not():
    sent = deliveries(
        {"channel": "email", "state": "failed", "attempts": 3, "error": "the server is down"},
        {"channel": "file", "state": "sent", "attempts": 1, "message_id": "another"},
    )
    lines = said(told=alerts({"status": "open", "message_id": "m"}), sent=sent)
    assert lines["delivery by email"] == "failed, 3 attempts; the server is down"
    assert "delivery by file" not in lines


@pytest.mark.parametrize("reason", ["cold_start", "not_finite", "excluded", "before_start", "ignored_period"])
def test_a_score_without_number_says_why(reason: str):
    lines = said(score={"model": "v1", "value": 300.0, "reason": reason})
    assert lines["score"].startswith("none: ")
    assert reason not in lines["score"]


def test_an_unscored_point_waits_for_the_next_run():
    assert said(score=None)["score"] == "not judged yet: the next score run does"


def test_a_score_of_an_earlier_value_shows_both():
    assert said(value=100.0)["judged value"] == "300.0"


def test_a_score_without_surprise_and_range_is_explained_by_what_it_has():
    lines = said(score={"model": "v1", "value": 300.0, "A": None, "surprise": None, "threshold": None})
    assert "expected" not in lines
    assert "anomaly score" not in lines


@pytest.mark.parametrize("text", [None, "", "no JSON", "[1]", "3", '{"value": 1}'])
def test_scores_of_others_are_not_read(text: str | None):
    assert read_score(text) is None


def test_scores_of_ours_are_read():
    assert read_score(json.dumps(SCORE)) == SCORE
