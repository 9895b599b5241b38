"""Would a channel take a message: is it there, does it know us, and (only where asked for) does one arrive?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import polars as pl

from anomflow.doctor.checks import REACH, Finding, join_advice
from anomflow.errors import DeliveryError, RetryableDeliveryError
from anomflow.frames import ALERTS
from anomflow.messages import Message, MessageInput, build_message
from anomflow.protocols import Reachable

if TYPE_CHECKING:
    from anomflow.doctor.checks import Check, Runner
    from anomflow.protocols import Clock, Notifier

TEST_MARK: Final = "[TEST]"
_WORDS: Final = "This is a test of `anomflow doctor`. Nothing is wrong with a metric; alerts will come this way."


def check_channel(notifier: Callable[[], Notifier], runner: Runner, clock: Clock | None = None) -> Iterator[Check]:
    """Look whether a channel answers and knows us; with a clock, send it a message that is marked as a test."""
    connected = runner.run("connect", lambda: _connect(notifier()))
    yield connected
    if clock is not None and connected.state != "failed":
        yield runner.run("send test", lambda: _send(notifier(), clock))


def _connect(notifier: Notifier) -> Finding:
    if not isinstance(notifier, Reachable):
        return Finding("its settings are right; whether it takes messages only one that is sent can tell (--send-test)")
    with _advising():
        return Finding(notifier.check_access())


def _send(notifier: Notifier, clock: Clock) -> Finding:
    with _advising():
        note = notifier.send(build_test_message(clock.now()))
    return Finding("the channel accepted a test message") if note is None else Finding(f"the test message was {note}", "warning")


@contextmanager
def _advising() -> Iterator[None]:
    """Say what to do about a channel that did not answer: nobody tries again here."""
    try:
        yield
    except RetryableDeliveryError as error:
        raise DeliveryError(join_advice(error, REACH)) from None  # its cause may hold secrets


def build_test_message(now: datetime) -> Message:
    """Build a message that nobody takes for an alert, of the form that real ones have, but without commands; ``now`` is UTC."""
    alert = {
        "alert_id": str(uuid4()),
        "metric_batch": "doctor",
        "metric_name": f"{TEST_MARK} channel",
        "kind": "info",
        "metric_timestamp": now,
        "detected_at": now,
        "metric_value": 1.0,
        "reason": _WORDS,
        "status": "open",
        "tags": "{}",
    }
    row = pl.DataFrame([{name: alert.get(name) for name in ALERTS.columns}], schema=ALERTS.columns)
    message = build_message(MessageInput(str(uuid4()), "doctor", row, {}, now, is_recorded=False))
    title = f"{TEST_MARK} Anomflow can reach this channel"
    return replace(message, subject=title, letter=replace(message.letter, title=title))
