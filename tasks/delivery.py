"""Group open alerts into messages and deliver them: claim, send, mark, each on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anomflow.errors import AnomflowError, RefusedDeliveryError
from anomflow.ledger.deliveries import (
    Claim,
    Delivery,
    Failure,
    Grouping,
    claim_deliveries,
    group_open_alerts,
    is_exhausted,
    is_given_up,
    mark_cancelled,
    mark_failed,
    mark_given_up,
    mark_sent,
    renew_claim,
)
from tasks.composing import compose_message
from tasks.effects import RETRIES, effect
from tasks.outbox import LEASE, Delivered, Outbox, find_lease, open_channel

if TYPE_CHECKING:
    from anomflow.protocols import Notifier


@effect("group alerts", retries=RETRIES)
def group_alerts(outbox: Outbox, channels: Sequence[str]) -> str | None:
    """Make one message of the open alerts without one, with a delivery for each channel, in one transaction."""
    library = outbox.library
    with library.warehouse.ledger.writing() as session:
        return group_open_alerts(session, outbox.table_key, Grouping(library.batch.name, tuple(channels), outbox.clock.now()))


@effect("claim deliveries", retries=RETRIES)
def claim(outbox: Outbox) -> list[Delivery]:
    """Claim the deliveries that are due, so that no other run sends them meanwhile."""
    asked = Claim(outbox.library.batch.name, outbox.run_id, outbox.clock.now(), LEASE)
    with outbox.library.warehouse.ledger.writing() as session:
        return claim_deliveries(session, outbox.table_key, asked)


@effect("deliver")
def deliver(outbox: Outbox, delivery: Delivery) -> Delivered:
    """Send one message over one channel and mark what became of it; a failure is a result, never an exception of the run."""
    if is_exhausted(delivery, outbox.limits):
        return _give_up(outbox, delivery, RefusedDeliveryError(f"{delivery.attempts - 1} runs ended while they sent it"))
    notifier = open_channel(outbox, delivery.channel)
    held = _hold(outbox, delivery, notifier)
    if held is not None:
        return held
    try:
        note = notifier.send(compose_message(outbox.library, delivery.message_id))
    except AnomflowError as error:
        return _fail(outbox, delivery, error)
    return _mark_sent(outbox, delivery, note)


def _hold(outbox: Outbox, delivery: Delivery, notifier: Notifier) -> Delivered | None:
    """Hold a delivery for as long as its channel may take; return what became of it where it is not to be sent."""
    now = outbox.clock.now()
    with outbox.library.warehouse.ledger.writing() as session:
        if not renew_claim(session, outbox.table_key, delivery, now + find_lease(notifier)):
            return Delivered(delivery.channel, "lost", "another run took it over")
        if mark_cancelled(session, outbox.table_key, delivery, now):
            return Delivered(delivery.channel, "cancelled")
    return None


def _fail(outbox: Outbox, delivery: Delivery, error: AnomflowError) -> Delivered:
    failure = Failure(error, outbox.clock.now())
    if is_given_up(delivery, failure, outbox.limits):
        return _give_up(outbox, delivery, error)
    with outbox.library.warehouse.ledger.writing() as session:
        mark_failed(session, outbox.table_key, delivery, failure)
    return Delivered(delivery.channel, "failed", str(error))


def _give_up(outbox: Outbox, delivery: Delivery, error: AnomflowError) -> Delivered:
    with outbox.library.warehouse.ledger.writing() as session:
        mark_given_up(session, outbox.table_key, delivery, Failure(error, outbox.clock.now()))
    return Delivered(delivery.channel, "given_up", str(error))


@effect("mark sent", retries=RETRIES)
def _mark_sent(outbox: Outbox, delivery: Delivery, note: str | None) -> Delivered:
    with outbox.library.warehouse.ledger.writing() as session:
        if mark_sent(session, outbox.table_key, delivery, outbox.clock.now()):
            return Delivered(delivery.channel, "sent", note)
    return Delivered(delivery.channel, "sent", "sent after the lease had ended: another run may have sent it too, with the same message id")
