"""Group open alerts into messages and deliver them: claim, send, mark, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from anomflow.errors import AnomflowError, RefusedDeliveryError
from anomflow.frames import ALERTS
from anomflow.histories import build_histories
from anomflow.ledger.deliveries import (
    Claim,
    Delivery,
    Failure,
    Grouping,
    Limits,
    claim_deliveries,
    group_open_alerts,
    is_exhausted,
    is_given_up,
    mark_cancelled,
    mark_failed,
    mark_given_up,
    mark_sent,
    read_message_alerts,
    renew_claim,
)
from anomflow.messages import MessageInput, build_message
from tasks.effects import effect
from tasks.history import Library, read_chart_rows

if TYPE_CHECKING:
    from anomflow.messages import Message
    from anomflow.protocols import Clock, Notifier

RETRIES = 3

# Longer than any channel may take with its own time-outs: a lease that runs out while its run still sends is
# the one way to a second copy of a message.
LEASE = timedelta(minutes=15)


@dataclass(frozen=True)
class Outbox:
    """The deliveries of a batch, the clock of their claims, who claims, how a channel's notifier is had."""

    library: Library
    clock: Clock
    run_id: str
    load_notifier: Callable[[str], Notifier]

    @property
    def limits(self) -> Limits:
        """Return when a delivery of this batch is given up."""
        alert = self.library.batch.spec.alert
        return Limits(alert.delivery_max_attempts, alert.delivery_max_age)

    @property
    def table_key(self) -> str:
        """Return the key under which the ledger's tables lie."""
        return self.library.batch.spec.common.table_key


@dataclass(frozen=True)
class Delivered:
    """What became of one delivery: sent, failed, cancelled, given_up, or lost to another run; the error where there was one."""

    channel: str
    state: str
    error: str | None = None


@effect("group alerts", retries=RETRIES)
def group_alerts(outbox: Outbox, channels: Sequence[str]) -> str | None:
    """Make one message of the open alerts without one, with a delivery for each channel, in one transaction."""
    library = outbox.library
    with library.warehouse.writing() as session:
        return group_open_alerts(session, outbox.table_key, Grouping(library.batch.name, tuple(channels), outbox.clock.now()))


@effect("claim deliveries", retries=RETRIES)
def claim(outbox: Outbox) -> list[Delivery]:
    """Claim the deliveries that are due, so that no other run sends them meanwhile."""
    asked = Claim(outbox.library.batch.name, outbox.run_id, outbox.clock.now(), LEASE)
    with outbox.library.warehouse.writing() as session:
        return claim_deliveries(session, outbox.table_key, asked)


@effect("deliver")
def deliver(outbox: Outbox, delivery: Delivery) -> Delivered:
    """Send one message over one channel and mark what became of it; a failure is a result, never an exception of the run."""
    if is_exhausted(delivery, outbox.limits):
        return _give_up(outbox, delivery, RefusedDeliveryError(f"{delivery.attempts - 1} runs ended while they sent it"))
    if not _renew(outbox, delivery):
        return Delivered(delivery.channel, "lost", "another run took it over")
    if _cancel(outbox, delivery):
        return Delivered(delivery.channel, "cancelled")
    try:
        outbox.load_notifier(delivery.channel).send(_build(outbox, delivery))
    except AnomflowError as error:
        return _fail(outbox, delivery, error)
    return _mark_sent(outbox, delivery)


def _renew(outbox: Outbox, delivery: Delivery) -> bool:
    until = outbox.clock.now() + LEASE
    with outbox.library.warehouse.writing() as session:
        return renew_claim(session, outbox.table_key, delivery, until)


def _cancel(outbox: Outbox, delivery: Delivery) -> bool:
    with outbox.library.warehouse.writing() as session:
        return mark_cancelled(session, outbox.table_key, delivery, outbox.clock.now())


def _build(outbox: Outbox, delivery: Delivery) -> Message:
    library = outbox.library
    with library.warehouse.reading() as session:
        alerts = read_message_alerts(session, outbox.table_key, delivery.message_id)
    told = alerts.filter(pl.col("status") != "resolved")
    # A message that was tried before goes out whole: its receiver may know it already.
    shown = alerts if told.is_empty() else told
    names = shown["metric_name"].unique(maintain_order=True).to_list()
    histories = build_histories(read_chart_rows(library, names), read_chart_alerts(library))
    return build_message(
        MessageInput(
            delivery.message_id, library.batch.name, shown, histories, library.as_of, library.batch.spec.alert.alert_message_max_metrics
        )
    )


def _fail(outbox: Outbox, delivery: Delivery, error: AnomflowError) -> Delivered:
    failure = Failure(error, outbox.clock.now())
    if is_given_up(delivery, failure, outbox.limits):
        return _give_up(outbox, delivery, error)
    with outbox.library.warehouse.writing() as session:
        mark_failed(session, outbox.table_key, delivery, failure)
    return Delivered(delivery.channel, "failed", str(error))


def _give_up(outbox: Outbox, delivery: Delivery, error: AnomflowError) -> Delivered:
    with outbox.library.warehouse.writing() as session:
        mark_given_up(session, outbox.table_key, delivery, Failure(error, outbox.clock.now()))
    return Delivered(delivery.channel, "given_up", str(error))


@effect("mark sent", retries=RETRIES)
def _mark_sent(outbox: Outbox, delivery: Delivery) -> Delivered:
    with outbox.library.warehouse.writing() as session:
        if mark_sent(session, outbox.table_key, delivery, outbox.clock.now()):
            return Delivered(delivery.channel, "sent")
    return Delivered(delivery.channel, "sent", "sent after the lease had ended: another run may have sent it too, with the same message id")


@effect("read alerts of charts", retries=RETRIES)
def read_chart_alerts(library: Library) -> pl.DataFrame:
    """Return the alerts (metric_name, metric_timestamp, kind) that charts mark: those that were open and not corrected."""
    name = ALERTS.name(library.batch.spec.common.table_key)
    with library.warehouse.reading() as session:
        where = f"metric_batch = {session.literal(library.batch.name)} and metric_timestamp <= {session.literal(library.as_of)}"
        alerts = session.read_table(ALERTS, name, where)
    return alerts.filter(pl.col("status").is_in(["open", "late"])).select("metric_name", "metric_timestamp", "kind")
