"""Alerts, histories and messages that tests of messages, charts and channels share."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from anomflow.frames import ALERTS, HISTORY
from anomflow.messages import Message, MessageInput, build_message

MOMENT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
MESSAGE_ID = "0c9f2f0e-1a2b-5222-8333-444455556666"
HOSTILE = "a'; \"<script>alert(1)</script>\r\nBcc: x@evil.test\u202eoof\x00\x1b[31m\u2028z"


def make_history(rows: int = 120, **columns: list[Any]) -> pl.DataFrame:
    """Make hourly rows of a daily wave that fall to 3.2 at ``MOMENT``, the last but five."""
    last = MOMENT + timedelta(hours=5)
    wave = [12 + 2 * math.sin(number * math.tau / 24) for number in range(rows)]
    history = {
        "metric_timestamp": [last - timedelta(hours=rows - 1 - number) for number in range(rows)],
        "metric_value": [3.2 if number == rows - 6 else value for number, value in enumerate(wave)],
        "expected_low": [value - 1 for value in wave],
        "expected_high": [value + 1 for value in wave],
        "anomaly_score": [0.97 if number == rows - 6 else 0.1 for number in range(rows)],
        "threshold": [0.84] * rows,
        "alert": ["anomaly" if number == rows - 6 else None for number in range(rows)],
    }
    return pl.DataFrame({**history, **columns}, schema=HISTORY)


def make_alert(**changes: Any) -> dict[str, Any]:
    alert = {
        "alert_id": f"alert-{changes.get('metric_name', 'orders')}-{changes.get('kind', 'anomaly')}",
        "metric_batch": "checkout",
        "metric_name": "orders",
        "kind": "anomaly",
        "metric_timestamp": MOMENT,
        "detected_at": MOMENT + timedelta(minutes=10),
        "metric_value": 3.2,
        "expected_low": 10.0,
        "expected_high": 14.0,
        "anomaly_score": 0.97,
        "surprise": 4.48,
        "reason": "lower than at this hour of other days",
        "status": "open",
        "message_id": MESSAGE_ID,
        "tags": json.dumps({"team": "payments"}),
    }
    return {**alert, **changes}


def make_alerts(*alerts: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(alerts), schema=ALERTS.columns)


def make_input(*alerts: dict[str, Any], **changes: Any) -> MessageInput:
    rows = alerts or (make_alert(),)
    settings: dict[str, Any] = {
        "message_id": MESSAGE_ID,
        "metric_batch": "checkout",
        "alerts": make_alerts(*rows),
        "histories": {},
        "created": MOMENT + timedelta(minutes=72),
        **changes,
    }
    return MessageInput(**settings)


def make_message(**changes: Any) -> Message:
    """Make the message of one alert with its chart."""
    return build_message(make_input(histories={"orders": make_history()}, **changes))


def make_hostile_message() -> Message:
    """Make a message whose every text comes from an attacker."""
    alert = make_alert(metric_name=HOSTILE, metric_batch=HOSTILE, reason=HOSTILE, kind=HOSTILE, tags=json.dumps({HOSTILE: HOSTILE}))
    return build_message(make_input(alert, metric_batch=HOSTILE, histories={HOSTILE: make_history()}))
