"""Group open alerts into messages, deliver them, and resolve what they opened: claim, send, mark, each on its own."""

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
from anomflow.ledger.resolutions import (
    add_resolution,
    find_channel,
    is_resolution,
    mark_unwanted,
    mark_waiting,
    release_resolutions,
)
from tasks.composing import compose_message
from tasks.effects import RETRIES, effect
from tasks.outbox import LEASE, Delivered, Outbox, find_lease, find_resolving, open_channel

if TYPE_CHECKING:
    from anomflow.protocols import Notifier, Session


@effect("group alerts", retries=RETRIES)
def group_alerts(outbox: Outbox, channels: Sequence[str]) -> str | None:
    """Make one message of the open alerts without one, with a delivery for each channel, in one transaction."""
    library = outbox.library
    with library.warehouse.ledger.writing() as session:
        return group_open_alerts(session, outbox.table_key, Grouping(library.batch.name, tuple(channels), outbox.clock.now()))


@effect("claim deliveries", retries=RETRIES)
def claim(outbox: Outbox) -> list[Delivery]:
    """Claim the deliveries that are due, so that no other run sends them meanwhile; resolutions whose alerts have ended are due."""
    asked = Claim(outbox.library.batch.name, outbox.run_id, outbox.clock.now(), LEASE)
    with outbox.library.warehouse.ledger.writing() as session:
        release_resolutions(session, outbox.table_key, asked.batch, asked.now)
        return claim_deliveries(session, outbox.table_key, asked)


@effect("deliver")
def deliver(outbox: Outbox, delivery: Delivery) -> Delivered:
    """Send one message over one channel and mark what became of it; a failure is a result, never an exception of the run."""
    if is_exhausted(delivery, outbox.limits):
        return _give_up(outbox, delivery, RefusedDeliveryError(f"{delivery.attempts - 1} runs ended while they sent it"))
    notifier = open_channel(outbox, find_channel(delivery.channel))
    held = _hold(outbox, delivery, notifier)
    if held is not None:
        return held
    try:
        note = _send(outbox, delivery, notifier)
    except AnomflowError as error:
        return _fail(outbox, delivery, error)
    return _mark_sent(outbox, delivery, note, resolves=find_resolving(notifier) is not None)


def _send(outbox: Outbox, delivery: Delivery, notifier: Notifier) -> str | None:
    resolving = find_resolving(notifier)
    if not is_resolution(delivery.channel) or resolving is None:
        return notifier.send(compose_message(outbox.library, delivery.message_id))
    resolving.send_resolution(delivery.message_id)
    return None


def _hold(outbox: Outbox, delivery: Delivery, notifier: Notifier) -> Delivered | None:
    """Hold a delivery for as long as its channel may take; return what became of it where it is not to be sent."""
    now = outbox.clock.now()
    with outbox.library.warehouse.ledger.writing() as session:
        if not renew_claim(session, outbox.table_key, delivery, now + find_lease(notifier)):
            return Delivered(delivery.channel, "lost", "another run took it over")
        if is_resolution(delivery.channel):
            return _hold_back(session, outbox.table_key, delivery, notifier)
        if mark_cancelled(session, outbox.table_key, delivery, now):
            return Delivered(delivery.channel, "cancelled")
    return None


def _hold_back(session: Session, table_key: str, delivery: Delivery, notifier: Notifier) -> Delivered | None:
    """Hold back a resolution of which an alert is open again, or that the channel does not want."""
    if mark_waiting(session, table_key, delivery):
        return Delivered(delivery.channel, "waiting")
    if find_resolving(notifier) is None:
        mark_unwanted(session, table_key, delivery)
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
def _mark_sent(outbox: Outbox, delivery: Delivery, note: str | None, *, resolves: bool) -> Delivered:
    """Mark what was accepted; of a message that opened an incident the resolution waits from then on."""
    now = outbox.clock.now()
    state = "resolved" if is_resolution(delivery.channel) else "sent"
    with outbox.library.warehouse.ledger.writing() as session:
        if mark_sent(session, outbox.table_key, delivery, now):
            if resolves and not is_resolution(delivery.channel):
                add_resolution(session, outbox.table_key, delivery, now)
            return Delivered(delivery.channel, state, note)
    return Delivered(delivery.channel, state, "sent after the lease had ended: another run may have sent it too, with the same message id")
