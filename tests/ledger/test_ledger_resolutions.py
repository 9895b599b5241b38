from __future__ import annotations

from typing import TYPE_CHECKING

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError
from anomflow.ledger.alerts import resolve_by_hand
from anomflow.ledger.deliveries import Delivery, Failure, mark_failed, mark_given_up, mark_sent, read_given_up, read_pending
from anomflow.ledger.resolutions import add_resolution, find_channel, is_resolution, mark_unwanted, mark_waiting, release_resolutions
from tests.ledger.ledger_story import BATCH, KEY, at, candidate, claim, group, kill, read_alerts, read_deliveries, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from anomflow.protocols import Session
    from tests.ledger.ledger_session import File

CHANNEL = "pagerduty/oncall"


def tell(file: File, *minutes: float) -> None:
    """Record alerts and tell a pager of them, which takes the message."""
    record(file, *(candidate(minute) for minute in minutes))
    group(file, channels=(CHANNEL,))
    (delivery,) = claim(file)
    do(file, lambda session: (mark_sent(session, KEY, delivery, at(63)), add_resolution(session, KEY, delivery, at(63))))


def do(file: File, work: Callable[[Session], Any]) -> Any:
    with file.writing() as session:
        return work(session)


def release(file: File, minute: float, batch: str = BATCH) -> list[Delivery]:
    """Release what has ended and claim it, as a run does."""
    do(file, lambda session: release_resolutions(session, KEY, batch, at(minute)))
    return claim(file, minute=minute, batch=batch)


def states(file: File) -> dict[str, str]:
    return {row["channel"]: row["state"] for row in read_deliveries(file)}


def test_a_resolution_waits_for_the_last_alert_of_its_message(warehouse: File) -> None:
    tell(warehouse, 30, 40)
    record(warehouse, normal=[30])
    assert release(warehouse, 70) == []
    assert states(warehouse) == {CHANNEL: "sent", f"resolve {CHANNEL}": "waiting"}
    alert_id = next(alert["alert_id"] for alert in read_alerts(warehouse) if alert["status"] == "open")
    do(warehouse, lambda session: resolve_by_hand(session, KEY, alert_id, at(75)))
    assert release(warehouse, 80, batch="other") == []
    (held,) = release(warehouse, 80)
    assert (is_resolution(held.channel), find_channel(held.channel), held.attempts, held.created) == (True, CHANNEL, 1, at(80))
    assert do(warehouse, lambda session: mark_waiting(session, KEY, held)) is False
    assert do(warehouse, lambda session: mark_sent(session, KEY, held, at(81)))
    assert release(warehouse, 90) == []


def test_what_waits_is_no_trouble_and_what_was_given_up_is(ledger: File) -> None:
    tell(ledger, 30)
    assert do(ledger, lambda session: read_pending(session, KEY, BATCH)).is_empty()
    record(ledger, normal=[30])
    (held,) = release(ledger, 70)
    refused = Failure(RefusedDeliveryError("no"), at(71))
    assert do(ledger, lambda session: mark_given_up(session, KEY, held, refused))
    assert release(ledger, 80) == []
    assert do(ledger, lambda session: read_given_up(session, KEY, BATCH))["channel"].to_list() == [f"resolve {CHANNEL}"]


def test_an_alert_that_is_open_again_before_the_end_was_told_lets_it_wait(warehouse: File) -> None:
    tell(warehouse, 30)
    record(warehouse, normal=[30])
    (held,) = release(warehouse, 70)
    assert do(warehouse, lambda session: mark_failed(session, KEY, held, Failure(RetryableDeliveryError("down"), at(71))))
    record(warehouse, candidate(30))
    (again,) = release(warehouse, 90)
    assert do(warehouse, lambda session: mark_waiting(session, KEY, again))
    assert release(warehouse, 95) == []
    record(warehouse, normal=[30])
    assert [delivery.attempts for delivery in release(warehouse, 100)] == [1]


def test_an_end_that_was_told_is_told_no_second_time(ledger: File) -> None:
    tell(ledger, 30)
    record(ledger, normal=[30])
    (held,) = release(ledger, 70)
    do(ledger, lambda session: mark_sent(session, KEY, held, at(71)))
    record(ledger, candidate(30))
    record(ledger, normal=[30])
    assert release(ledger, 80) == []
    assert set(states(ledger).values()) == {"sent"}


def test_an_end_that_nobody_wants_is_cancelled_and_another_end_asks_again(ledger: File) -> None:
    tell(ledger, 30)
    record(ledger, normal=[30])
    (held,) = release(ledger, 70)
    assert do(ledger, lambda session: mark_unwanted(session, KEY, held))
    assert states(ledger)[f"resolve {CHANNEL}"] == "cancelled"
    assert release(ledger, 80) == []
    record(ledger, candidate(30))  # what was cancelled is pending again, and found to be open
    (again,) = release(ledger, 90)
    assert do(ledger, lambda session: mark_waiting(session, KEY, again))


def test_a_crash_before_the_release_is_committed_changes_nothing(ledger: File) -> None:
    tell(ledger, 30)
    record(ledger, normal=[30])
    before = read_deliveries(ledger)
    kill(ledger, lambda session: release_resolutions(session, KEY, BATCH, at(70)))
    assert read_deliveries(ledger) == before


def test_a_mark_of_a_run_that_lost_its_claim_changes_nothing(ledger: File) -> None:
    tell(ledger, 30)
    record(ledger, normal=[30])
    (frozen,) = release(ledger, 70)
    (held,) = claim(ledger, minute=80, run="run-2")
    record(ledger, candidate(30))
    assert not do(ledger, lambda session: mark_waiting(session, KEY, frozen))
    assert not do(ledger, lambda session: mark_unwanted(session, KEY, frozen))
    assert do(ledger, lambda session: mark_waiting(session, KEY, held))


def test_the_ends_of_a_flood_of_messages_are_released_in_few_statements(ledger: File) -> None:
    for number in range(3):
        record(ledger, candidate(30, metric=f"metric {number}"))
        group(ledger, minute=61 + number, channels=(CHANNEL,))
    for delivery in claim(ledger, minute=64):
        do(ledger, lambda session, told=delivery: add_resolution(session, KEY, told, at(65)))
    with ledger.writing() as session:
        release_resolutions(session, KEY, BATCH, at(66))
        assert session.statements == 2
