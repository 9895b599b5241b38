"""Resolutions: what tells a channel that the incident is over that a message opened there, one row a message and channel.

A resolution is a delivery of the same message, whose channel has ``resolve `` before its name. It is made when the channel
has accepted the message, waits until all alerts of the message are resolved, and then goes the way of every delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.frames import ALERTS, DELIVERIES
from anomflow.ledger.deliveries import advance_delivery
from anomflow.ledger.rows import Rows, chunks
from anomflow.ledger.states import RESOLVED, DeliveryEvent, DeliveryState, find_delivery_rules

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.ledger.deliveries import Delivery
    from anomflow.protocols import Session

_MARK: Final = "resolve "  # no name of a channel holds a space


def is_resolution(channel: str) -> bool:
    """Tell by its row's channel whether a delivery ends an incident, and tells of none."""
    return channel.startswith(_MARK)


def find_channel(channel: str) -> str:
    """Return the name of the channel that a delivery goes to."""
    return channel.removeprefix(_MARK)


def add_resolution(session: Session, table_key: str, told: Delivery, now: datetime) -> None:
    """Let the resolution of a message wait that a channel has just accepted; in the transaction that marks it as sent."""
    row = {
        "message_id": told.message_id,
        "channel": f"{_MARK}{told.channel}",
        "metric_batch": told.metric_batch,
        "state": DeliveryState.WAITING.value,
        "attempts": 0,
        "next_attempt_at": now,
        "created": now,
    }
    Rows(session, DELIVERIES, table_key).insert(pl.DataFrame([row], schema=DELIVERIES.columns))


def release_resolutions(session: Session, table_key: str, batch: str, now: datetime) -> None:
    """Make the waiting resolutions of a batch due whose alerts are all resolved; their age counts from ``now``."""
    deliveries = Rows(session, DELIVERIES, table_key)
    literal = session.literal
    (rule,) = find_delivery_rules(DeliveryEvent.RELEASE)
    guards = (deliveries.equals("metric_batch", batch), deliveries.among("state", sorted(state.value for state in rule.before)))
    waiting = deliveries.read(*guards)["message_id"].to_list()
    changes = {"state": literal(rule.after.value), "next_attempt_at": literal(now), "created": literal(now), "attempts": literal(0)}
    for part in chunks(waiting):
        ended = sorted(set(part) - _read_unresolved(session, table_key, part))
        if ended:
            deliveries.update(changes, *guards, deliveries.among("message_id", ended))


def mark_waiting(session: Session, table_key: str, delivery: Delivery) -> bool:
    """Let a resolution wait again of which an alert is not resolved any more; False where it is to be sent."""
    return advance_delivery(Rows(session, DELIVERIES, table_key), delivery, DeliveryEvent.WAIT, {"error": session.literal(None)})


def mark_unwanted(session: Session, table_key: str, delivery: Delivery) -> bool:
    """Cancel a resolution whose channel is to resolve nothing any more."""
    changes = {"error": session.literal("the channel resolves nothing (any more)")}
    return advance_delivery(Rows(session, DELIVERIES, table_key), delivery, DeliveryEvent.DROP, changes)


def _read_unresolved(session: Session, table_key: str, message_ids: tuple[str, ...]) -> set[str]:
    alerts = Rows(session, ALERTS, table_key)
    return set(alerts.read(alerts.among("message_id", message_ids), alerts.compare("status", "<>", RESOLVED))["message_id"])
