"""Whose deliveries a run makes, how long it holds them, how it gets at their channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from anomflow.errors import AnomflowError
from anomflow.ledger.deliveries import Limits
from anomflow.protocols import Resolving
from tasks.history import Library

if TYPE_CHECKING:
    from anomflow.messages import Message
    from anomflow.protocols import Clock, Notifier

# Of a claim, and the shortest of a delivery that is being sent, whose message has to be composed too: a lease that runs
# out while its run still sends is the one way to a second copy of a message. What is claimed and waits its turn may be
# taken over: its first run finds so before it sends.
LEASE: Final = timedelta(minutes=15)


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
    """What became of one delivery: sent, resolved (its message's incident), failed, cancelled, given_up, waiting, or lost to another run.

    ``error`` says what went wrong, if anything.
    """

    channel: str
    state: str
    error: str | None = None


@dataclass(frozen=True)
class _Unloaded:
    """Stand for a channel that cannot be loaded: to send is to fail with the reason, so that its delivery is marked."""

    error: AnomflowError
    send_seconds: float = 0.0
    resolve: bool = True

    def send(self, message: Message) -> str | None:  # noqa: ARG002 - the signature of a notifier
        raise self.error

    def send_resolution(self, message_id: str) -> None:  # noqa: ARG002 - the signature of a channel that resolves
        raise self.error


def open_channel(outbox: Outbox, channel: str) -> Notifier:
    """Return the notifier of a channel; where there is none, one whose every send fails with the reason."""
    try:
        return outbox.load_notifier(channel)
    except AnomflowError as error:
        return _Unloaded(error)


def find_resolving(notifier: Notifier) -> Resolving | None:
    """Return the notifier as one that ends the incidents that it opens; None where it cannot, or is not to."""
    return notifier if isinstance(notifier, Resolving) and notifier.resolve else None


def find_lease(notifier: Notifier) -> timedelta:
    """Return how long a delivery is held while it is sent: at least ``LEASE``, and never less than twice what a send can take."""
    return max(LEASE, 2 * timedelta(seconds=notifier.send_seconds))
