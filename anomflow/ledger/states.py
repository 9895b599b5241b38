"""The states of alerts and of deliveries: every transition is a row of one of two tables.

An alert's state is its column ``status``, except that ``resolved`` has three ways of coming about, which count
differently: a corrected alert was never one, one that recovered or was resolved by hand was. The text in ``reason`` tells
them apart: it starts with ``corrected; ``, ``recovered by <time>; `` or ``resolved by hand at <time>; `` whenever the status
is ``resolved`` (``mark_reason`` is the only way there) and is read for that only then, so that no text of a decision can be
taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anomflow.decisions.snooze import Status

RESOLVED: Final = "resolved"
_MARK_END: Final = "; "


class AlertState(StrEnum):
    """Where an alert stands."""

    ABSENT = "absent"
    OPEN = "open"
    SNOOZED = "snoozed"
    LATE = "late"
    CORRECTED = "corrected"
    RECOVERED = "recovered"
    BY_HAND = "resolved by hand"

    @property
    def status(self) -> str:
        """Return what the column ``status`` holds in this state."""
        return RESOLVED if self in _RESOLVED else self.value

    @property
    def is_opened(self) -> bool:
        """Tell whether the alert is or was open and neither corrected nor recovered, so that it snoozes its neighbours."""
        return self in {AlertState.OPEN, AlertState.BY_HAND}


_RESOLVED: Final = (AlertState.BY_HAND, AlertState.RECOVERED, AlertState.CORRECTED)


class AlertEvent(StrEnum):
    """What happens to an alert."""

    ANOMALOUS = "judged anomalous"
    NORMAL = "judged normal"
    OVER = "what it told of is over"
    GROUPED = "grouped into a message"
    RESOLVED = "resolved by hand"


class Effect(Enum):
    """What is written besides the state."""

    NOTHING = "nothing"
    INSERT = "the alert"
    REPLACE = "value, score, range and reason"
    REOPEN = "the same, and cancelled deliveries are pending again"
    RESOLVE = "the mark in the reason"
    GROUP = "the message id, with its deliveries"


@dataclass(frozen=True)
class AlertSituation:
    """A recorded alert as an event meets it: has it a message, and do the facts differ from the recorded ones?"""

    state: AlertState
    is_told: bool = False
    is_changed: bool = True


@dataclass(frozen=True)
class AlertRule:
    """One row of the table; None as a guard means either, ``after`` None means the state that the verdict gives."""

    event: AlertEvent
    before: frozenset[AlertState]
    is_told: bool | None
    is_changed: bool | None
    after: AlertState | None
    effect: Effect


_LIVE: Final = frozenset({AlertState.OPEN, AlertState.SNOOZED, AlertState.LATE})
_OPEN: Final = frozenset({AlertState.OPEN})
_PAST: Final = frozenset({AlertState.CORRECTED, AlertState.RECOVERED})

# What no row covers changes nothing: facts that are the recorded ones, an alert that a message told of, one that a
# person resolved, a normal row without alert.
ALERT_RULES: Final = (
    AlertRule(AlertEvent.ANOMALOUS, frozenset({AlertState.ABSENT}), None, None, None, Effect.INSERT),
    AlertRule(AlertEvent.ANOMALOUS, _LIVE, False, True, None, Effect.REPLACE),
    AlertRule(AlertEvent.ANOMALOUS, _PAST, False, None, None, Effect.REPLACE),
    AlertRule(AlertEvent.ANOMALOUS, _PAST, True, None, AlertState.OPEN, Effect.REOPEN),
    AlertRule(AlertEvent.NORMAL, _LIVE, None, None, AlertState.CORRECTED, Effect.RESOLVE),
    AlertRule(AlertEvent.OVER, _LIVE, None, None, AlertState.RECOVERED, Effect.RESOLVE),
    AlertRule(AlertEvent.GROUPED, _OPEN, False, None, AlertState.OPEN, Effect.GROUP),
    AlertRule(AlertEvent.RESOLVED, _OPEN, None, None, AlertState.BY_HAND, Effect.RESOLVE),
)


def find_alert_rule(event: AlertEvent, situation: AlertSituation) -> AlertRule | None:
    """Return the row of the table that an event meets, None where nothing is to change."""
    return next((rule for rule in ALERT_RULES if _covers(rule, event, situation)), None)


def next_status(event: AlertEvent, situation: AlertSituation, verdict: Status) -> tuple[AlertState, Effect]:
    """Return the state after an event and what is written; ``verdict`` is what the snooze rule says of it now."""
    rule = find_alert_rule(event, situation)
    if rule is None:
        return situation.state, Effect.NOTHING
    return rule.after or AlertState(verdict), rule.effect


def _covers(rule: AlertRule, event: AlertEvent, situation: AlertSituation) -> bool:
    return (
        rule.event == event
        and situation.state in rule.before
        and rule.is_told in {None, situation.is_told}
        and rule.is_changed in {None, situation.is_changed}
    )


def read_state(status: str, reason: str | None) -> AlertState:
    """Return the state that the columns of an alert hold."""
    if status != RESOLVED:
        return AlertState(status)
    return next((state for state in _RESOLVED if (reason or "").startswith(state.value)), AlertState.CORRECTED)


def mark_reason(reason: str | None, state: AlertState, detail: str = "") -> str:
    """Put how an alert was resolved before its reason."""
    return f"{state.value}{detail}{_MARK_END}{reason or ''}"


class DeliveryState(StrEnum):
    """Where the delivery of a message on one channel stands; ``waiting`` is a resolution alone."""

    WAITING = "waiting"
    PENDING = "pending"
    CLAIMED = "claimed"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GIVEN_UP = "given_up"


class DeliveryEvent(StrEnum):
    """What happens to a delivery."""

    CLAIM = "claimed by a run"
    RENEW = "claim renewed before sending"
    CANCEL = "found disproved before sending"
    ACCEPT = "accepted by the channel"
    FAIL = "failed, may succeed later"
    GIVE_UP = "refused for good, or tried often or long enough"
    REVIVE = "an alert of the message is anomalous again"
    RELEASE = "all alerts of the message that it ends are resolved"
    WAIT = "found open again before sending"
    DROP = "the channel resolves nothing any more"


class Guard(Enum):
    """What must hold besides the state."""

    NONE = "nothing"
    DUE = "next_attempt_at <= now"
    EXPIRED = "claimed_until < now"
    MINE = "claimed by this run, in this attempt"
    UNTOLD = "the same, for the first time, and all alerts of the message are resolved"
    ENDED = "all alerts of the message are resolved"
    UNENDED = "claimed by this run, in this attempt, and an alert of the message is not resolved"


@dataclass(frozen=True)
class DeliveryRule:
    """One row of the table."""

    event: DeliveryEvent
    before: frozenset[DeliveryState]
    guard: Guard
    after: DeliveryState


_WAITING: Final = frozenset({DeliveryState.PENDING, DeliveryState.FAILED})
_CLAIMED: Final = frozenset({DeliveryState.CLAIMED})

DELIVERY_RULES: Final = (
    DeliveryRule(DeliveryEvent.CLAIM, _WAITING, Guard.DUE, DeliveryState.CLAIMED),
    DeliveryRule(DeliveryEvent.CLAIM, _CLAIMED, Guard.EXPIRED, DeliveryState.CLAIMED),
    DeliveryRule(DeliveryEvent.RENEW, _CLAIMED, Guard.MINE, DeliveryState.CLAIMED),
    DeliveryRule(DeliveryEvent.CANCEL, _CLAIMED, Guard.UNTOLD, DeliveryState.CANCELLED),
    DeliveryRule(DeliveryEvent.ACCEPT, _CLAIMED, Guard.MINE, DeliveryState.SENT),
    DeliveryRule(DeliveryEvent.FAIL, _CLAIMED, Guard.MINE, DeliveryState.FAILED),
    DeliveryRule(DeliveryEvent.GIVE_UP, _CLAIMED, Guard.MINE, DeliveryState.GIVEN_UP),
    DeliveryRule(DeliveryEvent.REVIVE, frozenset({DeliveryState.CANCELLED}), Guard.NONE, DeliveryState.PENDING),
    DeliveryRule(DeliveryEvent.RELEASE, frozenset({DeliveryState.WAITING}), Guard.ENDED, DeliveryState.PENDING),
    DeliveryRule(DeliveryEvent.WAIT, _CLAIMED, Guard.UNENDED, DeliveryState.WAITING),
    DeliveryRule(DeliveryEvent.DROP, _CLAIMED, Guard.MINE, DeliveryState.CANCELLED),
)


def find_delivery_rules(event: DeliveryEvent) -> tuple[DeliveryRule, ...]:
    """Return the rows of the table that an event may meet."""
    return tuple(rule for rule in DELIVERY_RULES if rule.event == event)


def next_delivery_state(event: DeliveryEvent, state: DeliveryState, holds: Iterable[Guard]) -> DeliveryState | None:
    """Return the state after an event, given the guards that hold; None where the event is refused."""
    held = {Guard.NONE, *holds}
    return next((rule.after for rule in find_delivery_rules(event) if state in rule.before and rule.guard in held), None)
