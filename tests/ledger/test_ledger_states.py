"""Both tables, every cell: what is not said here must change nothing."""

from __future__ import annotations

from itertools import product

import pytest

from anomflow.ledger.states import (
    ALERT_RULES,
    DELIVERY_RULES,
    AlertEvent,
    AlertSituation,
    AlertState,
    DeliveryEvent,
    DeliveryState,
    Effect,
    Guard,
    mark_reason,
    next_delivery_state,
    next_status,
    read_state,
)

A, E = AlertState, AlertEvent
VERDICTS = ("open", "snoozed", "late")
CASES = [(event, AlertSituation(*facts)) for event, *facts in product(AlertEvent, AlertState, (False, True), (False, True))]


def expect(event: AlertEvent, met: AlertSituation, verdict: str) -> tuple[AlertState, Effect]:  # noqa: PLR0911 - one return a row of the table
    """Say the table of the design again, in other words."""
    if event is E.ANOMALOUS and met.state is A.ABSENT:
        return A(verdict), Effect.INSERT
    if event is E.ANOMALOUS and met.state in {A.CORRECTED, A.RECOVERED}:
        return (A.OPEN, Effect.REOPEN) if met.is_told else (A(verdict), Effect.REPLACE)
    if event is E.ANOMALOUS and met.state is not A.BY_HAND and met.is_changed and not met.is_told:
        return A(verdict), Effect.REPLACE
    if event is E.NORMAL and met.state in {A.OPEN, A.SNOOZED, A.LATE}:
        return A.CORRECTED, Effect.RESOLVE
    if event is E.OVER and met.state in {A.OPEN, A.SNOOZED, A.LATE}:
        return A.RECOVERED, Effect.RESOLVE
    if event is E.GROUPED and met.state is A.OPEN and not met.is_told:
        return A.OPEN, Effect.GROUP
    if event is E.RESOLVED and met.state is A.OPEN:
        return A.BY_HAND, Effect.RESOLVE
    return met.state, Effect.NOTHING


@pytest.mark.parametrize(("event", "met"), CASES)
def test_every_cell_of_the_alert_table(event: AlertEvent, met: AlertSituation) -> None:
    assert [next_status(event, met, verdict) for verdict in VERDICTS] == [expect(event, met, verdict) for verdict in VERDICTS]


@pytest.mark.parametrize(("event", "met"), CASES)
def test_no_two_rows_of_the_alert_table_cover_one_case(event: AlertEvent, met: AlertSituation) -> None:
    covering = [
        rule
        for rule in ALERT_RULES
        if rule.event is event
        and met.state in rule.before
        and rule.is_told in {None, met.is_told}
        and rule.is_changed in {None, met.is_changed}
    ]
    assert len(covering) <= 1


@pytest.mark.parametrize("state", [state for state in AlertState if state is not A.ABSENT])
def test_the_columns_hold_the_state(state: AlertState) -> None:
    hostile = "resolved by hand; corrected; recovered; it's"
    reason = mark_reason(hostile, state, " at noon") if state.status == "resolved" else hostile
    assert read_state(state.status, reason) is state


D, V, G = DeliveryState, DeliveryEvent, Guard
MOVES = {
    (V.CLAIM, D.PENDING, G.DUE): D.CLAIMED,
    (V.CLAIM, D.FAILED, G.DUE): D.CLAIMED,
    (V.CLAIM, D.CLAIMED, G.EXPIRED): D.CLAIMED,
    (V.RENEW, D.CLAIMED, G.MINE): D.CLAIMED,
    (V.CANCEL, D.CLAIMED, G.UNTOLD): D.CANCELLED,
    (V.ACCEPT, D.CLAIMED, G.MINE): D.SENT,
    (V.FAIL, D.CLAIMED, G.MINE): D.FAILED,
    (V.GIVE_UP, D.CLAIMED, G.MINE): D.GIVEN_UP,
    (V.RELEASE, D.WAITING, G.ENDED): D.PENDING,
    (V.WAIT, D.CLAIMED, G.UNENDED): D.WAITING,
    (V.DROP, D.CLAIMED, G.MINE): D.CANCELLED,
    **{(V.REVIVE, D.CANCELLED, guard): D.PENDING for guard in Guard},
}


@pytest.mark.parametrize(("event", "state", "guard"), list(product(DeliveryEvent, DeliveryState, Guard)))
def test_every_cell_of_the_delivery_table(event: DeliveryEvent, state: DeliveryState, guard: Guard) -> None:
    assert next_delivery_state(event, state, [guard]) == MOVES.get((event, state, guard))


@pytest.mark.parametrize("state", [D.SENT, D.GIVEN_UP])
def test_what_is_sent_or_given_up_stays_so(state: DeliveryState) -> None:
    assert all(state not in rule.before for rule in DELIVERY_RULES)
