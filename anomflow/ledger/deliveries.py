"""Deliveries: the outbox of messages, one row a message and channel.

Times are those of the injected clock, zoned UTC. A run owns what it claimed until its lease ends; every mark is refused
(False) once another attempt has claimed the same delivery.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError
from anomflow.frames import ALERTS, DELIVERIES
from anomflow.ledger.ids import build_jitter, build_message_id
from anomflow.ledger.rows import Rows, chunks
from anomflow.ledger.states import ALERT_RULES, RESOLVED, AlertEvent, DeliveryEvent, DeliveryState, Guard, find_delivery_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anomflow.protocols import Session

FIRST_RETRY: Final = timedelta(seconds=30)
LONGEST_RETRY: Final = timedelta(hours=1)
LONGEST_RETRY_AFTER: Final = timedelta(days=1)  # a channel that asks for more is tried after this
ERROR_LENGTH: Final = 500


@dataclass(frozen=True)
class Grouping:
    """Which batch's open alerts become a message for which channels, at what time."""

    batch: str
    channels: tuple[str, ...]
    now: datetime


@dataclass(frozen=True)
class Claim:
    """A run's claim on the deliveries of a batch; ``run_id`` is its own, ``lease`` longer than a send can take."""

    batch: str
    run_id: str
    now: datetime
    lease: timedelta


@dataclass(frozen=True)
class Delivery:
    """A claimed delivery; ``attempts`` counts from 1 and, with ``claimed_by``, is what later marks are checked against."""

    message_id: str
    channel: str
    metric_batch: str
    attempts: int
    claimed_by: str
    claimed_until: datetime
    created: datetime


@dataclass(frozen=True)
class Limits:
    """When a delivery is given up."""

    max_attempts: int
    max_age: timedelta


@dataclass(frozen=True)
class Failure:
    """What a channel answered, when."""

    error: Exception
    now: datetime


def group_open_alerts(session: Session, table_key: str, grouping: Grouping) -> str | None:
    """Put all open alerts of a batch that have no message into one, with a delivery a channel; None where there are none.

    Alerts that another run takes meanwhile, or that are corrected, are left out; without channels nothing is grouped.
    """
    alerts = Rows(session, ALERTS, table_key)
    guards = _guard_grouping(alerts, grouping.batch)
    ids = alerts.read(*guards)["alert_id"].to_list() if grouping.channels else []
    if not ids:
        return None
    message_id = build_message_id(grouping.batch, ids)
    for part in chunks(ids):
        alerts.update({"message_id": session.literal(message_id)}, *guards, alerts.among("alert_id", part))
    if read_message_alerts(session, table_key, message_id).is_empty():
        return None
    Rows(session, DELIVERIES, table_key).insert(_build_deliveries(message_id, grouping))
    return message_id


def _guard_grouping(alerts: Rows, batch: str) -> tuple[str, ...]:
    statuses = [state.status for rule in ALERT_RULES if rule.event is AlertEvent.GROUPED for state in rule.before]
    return alerts.equals("metric_batch", batch), alerts.among("status", statuses), alerts.equals("message_id", None)


def _build_deliveries(message_id: str, grouping: Grouping) -> pl.DataFrame:
    row = {
        "message_id": message_id,
        "metric_batch": grouping.batch,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "next_attempt_at": grouping.now,
        "created": grouping.now,
    }
    rows = [{**row, "channel": channel} for channel in dict.fromkeys(grouping.channels)]
    return pl.DataFrame(rows, schema=DELIVERIES.columns)


def read_message_alerts(session: Session, table_key: str, message_id: str) -> pl.DataFrame:
    """Read the alerts of a message in whatever state they are now, by metric and time."""
    alerts = Rows(session, ALERTS, table_key)
    return alerts.read(alerts.equals("message_id", message_id)).sort("metric_name", "metric_timestamp", "kind")


def claim_deliveries(session: Session, table_key: str, claim: Claim) -> list[Delivery]:
    """Take what is due, and what a run left behind whose lease has ended; oldest first.

    Returns what this very claim took: the same claim again, by a retry, returns the same.
    """
    deliveries = Rows(session, DELIVERIES, table_key)
    until = claim.now + claim.lease
    guards = {
        Guard.DUE: deliveries.compare("next_attempt_at", "<=", claim.now),
        Guard.EXPIRED: deliveries.compare("claimed_until", "<", claim.now),
    }
    free = " or ".join(
        f"({_in_states(deliveries, rule.before)} and {guards[rule.guard]})" for rule in find_delivery_rules(DeliveryEvent.CLAIM)
    )
    changes = {
        "state": session.literal(DeliveryState.CLAIMED.value),
        "claimed_by": session.literal(claim.run_id),
        "claimed_until": session.literal(until),
        "attempts": f"{deliveries.column('attempts')} + 1",
    }
    deliveries.update(changes, deliveries.equals("metric_batch", claim.batch), f"({free})")
    held = deliveries.read(*_held_by(deliveries, claim))
    taken = held.filter(pl.col("claimed_until") == until).sort("created", "message_id", "channel")
    return [_build_delivery(row) for row in taken.to_dicts()]


def renew_claim(session: Session, table_key: str, delivery: Delivery, until: datetime) -> bool:
    """Hold a delivery until a later time, just before it is sent: those before it may have used up the lease."""
    changes = {"claimed_until": session.literal(until)}
    return advance_delivery(Rows(session, DELIVERIES, table_key), delivery, DeliveryEvent.RENEW, changes)


def mark_cancelled(session: Session, table_key: str, delivery: Delivery, now: datetime) -> bool:
    """Cancel a delivery that was never attempted and whose alerts are all resolved by ``now``; False where it is to be sent."""
    changes = {"error": session.literal(f"all alerts of the message were resolved before {_format(now)}")}
    return advance_delivery(Rows(session, DELIVERIES, table_key), delivery, DeliveryEvent.CANCEL, changes)


def mark_sent(session: Session, table_key: str, delivery: Delivery, now: datetime) -> bool:
    """Record that the channel accepted the message."""
    changes = {"sent_at": session.literal(now), "error": session.literal(None)}
    return advance_delivery(Rows(session, DELIVERIES, table_key), delivery, DeliveryEvent.ACCEPT, changes)


def mark_failed(session: Session, table_key: str, delivery: Delivery, failure: Failure) -> bool:
    """Record that the channel did not accept the message, and when it is tried again."""
    after = failure.now + find_backoff(delivery, failure.error)
    changes = {"next_attempt_at": session.literal(after), "error": session.literal(_describe(failure.error))}
    return advance_delivery(Rows(session, DELIVERIES, table_key), delivery, DeliveryEvent.FAIL, changes)


def mark_given_up(session: Session, table_key: str, delivery: Delivery, failure: Failure) -> bool:
    """Record that the message will not be delivered on this channel."""
    changes = {"error": session.literal(_describe(failure.error))}
    return advance_delivery(Rows(session, DELIVERIES, table_key), delivery, DeliveryEvent.GIVE_UP, changes)


def is_given_up(delivery: Delivery, failure: Failure, limits: Limits) -> bool:
    """Tell whether a failed delivery is given up: refused for good, attempted often enough, or older than its limit."""
    is_refused = isinstance(failure.error, RefusedDeliveryError)
    return is_refused or delivery.attempts >= limits.max_attempts or failure.now - delivery.created > limits.max_age


def is_exhausted(delivery: Delivery, limits: Limits) -> bool:
    """Tell before sending whether the attempts are used up: runs that died while they sent leave no failure behind."""
    return delivery.attempts > limits.max_attempts


def find_backoff(delivery: Delivery, error: Exception) -> timedelta:
    """Return how long to wait: 30 s doubled with each attempt, at most an hour, shortened by up to half.

    The share is fixed by the ids, so that channels spread and a replay repeats. Never shorter than what the channel
    asked for, up to a day of it.
    """
    doubled = FIRST_RETRY.total_seconds() * 2.0 ** min(delivery.attempts - 1, 16)
    seconds = min(doubled, LONGEST_RETRY.total_seconds())
    share = 1 - build_jitter(delivery.message_id, delivery.channel, delivery.attempts) / 2
    asked = error.retry_after if isinstance(error, RetryableDeliveryError) else None
    wanted = asked if asked is not None and math.isfinite(asked) else 0.0
    return timedelta(seconds=max(seconds * share, min(wanted, LONGEST_RETRY_AFTER.total_seconds())))


def read_given_up(session: Session, table_key: str, batch: str) -> pl.DataFrame:
    """Read the deliveries of a batch that were given up, oldest first."""
    return _read_in_states(Rows(session, DELIVERIES, table_key), batch, [DeliveryState.GIVEN_UP])


def read_pending(session: Session, table_key: str, batch: str) -> pl.DataFrame:
    """Read the deliveries of a batch that are still to be made (pending, claimed or failed), oldest first."""
    return _read_in_states(
        Rows(session, DELIVERIES, table_key), batch, [DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.FAILED]
    )


def _read_in_states(deliveries: Rows, batch: str, states: Iterable[DeliveryState]) -> pl.DataFrame:
    found = deliveries.read(deliveries.equals("metric_batch", batch), _in_states(deliveries, states))
    return found.sort("created", "message_id", "channel")


def advance_delivery(deliveries: Rows, delivery: Delivery, event: DeliveryEvent, changes: Mapping[str, str]) -> bool:
    """Move one claimed delivery along the table, unless another attempt holds it now."""
    (rule,) = find_delivery_rules(event)
    guards = [
        deliveries.equals("message_id", delivery.message_id),
        deliveries.equals("channel", delivery.channel),
        deliveries.equals("claimed_by", delivery.claimed_by),
        deliveries.equals("attempts", delivery.attempts),
        _in_states(deliveries, rule.before),
    ]
    if rule.guard is Guard.UNTOLD:
        guards += [deliveries.equals("attempts", 1), f"not exists ({_select_unresolved(deliveries, delivery)})"]
    if rule.guard is Guard.UNENDED:
        guards.append(f"exists ({_select_unresolved(deliveries, delivery)})")
    state = deliveries.session.literal(rule.after.value)
    return deliveries.update({"state": state, **changes}, *guards) > 0


def _select_unresolved(deliveries: Rows, delivery: Delivery) -> str:
    alerts = Rows(deliveries.session, ALERTS, deliveries.table_key)
    conditions = f"{alerts.equals('message_id', delivery.message_id)} and {alerts.compare('status', '<>', RESOLVED)}"
    return f"select 1 from {alerts.session.identifier(alerts.name)} where {conditions}"


def _in_states(deliveries: Rows, states: Iterable[DeliveryState]) -> str:
    return deliveries.among("state", sorted(state.value for state in states))


def _held_by(deliveries: Rows, claim: Claim) -> tuple[str, ...]:
    return (
        deliveries.equals("metric_batch", claim.batch),
        deliveries.equals("claimed_by", claim.run_id),
        deliveries.equals("state", DeliveryState.CLAIMED.value),
    )


def _build_delivery(row: Mapping[str, Any]) -> Delivery:
    names = ("message_id", "channel", "metric_batch", "attempts", "claimed_by", "claimed_until", "created")
    return Delivery(**{name: row[name] for name in names})


def _describe(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:ERROR_LENGTH]


def _format(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
