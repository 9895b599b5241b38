from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from anomflow.errors import DeliveryError, RefusedDeliveryError, RetryableDeliveryError
from anomflow.ledger.alerts import resolve_by_hand
from anomflow.ledger.deliveries import (
    Delivery,
    Failure,
    Grouping,
    Limits,
    find_backoff,
    group_open_alerts,
    is_exhausted,
    is_given_up,
    mark_cancelled,
    mark_failed,
    mark_given_up,
    mark_sent,
    read_given_up,
    read_message_alerts,
    read_pending,
    renew_claim,
)
from anomflow.ledger.ids import build_message_id
from tests.ledger.ledger_story import BATCH, KEY, LEASE, at, candidate, claim, group, kill, read_alerts, read_deliveries, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ledger.ledger_session import File

LIMITS = Limits(max_attempts=3, max_age=timedelta(days=3))
DOWN = RetryableDeliveryError("the server is down")
REFUSED = RefusedDeliveryError("no such address: it's 'odd'")


def do(file: File, mark: Callable[..., bool], delivery: Any, what: Any) -> bool:
    with file.writing() as session:
        return mark(session, KEY, delivery, what)


def claim_one(file: File, *, minute: float = 62, run: str = "run-1") -> Delivery:
    (delivery,) = claim(file, minute=minute, run=run)
    return delivery


def prepare(file: File) -> Delivery:
    """Record an alert, group it and claim its one delivery."""
    record(file, candidate(30))
    group(file)
    return claim_one(file)


def state(file: File) -> str:
    (delivery,) = read_deliveries(file)
    return str(delivery["state"])


def test_open_alerts_become_one_message_with_a_delivery_a_channel(warehouse: File) -> None:
    record(warehouse, candidate(30), candidate(40), candidate(30, metric="visits"))
    record(warehouse, candidate(30), batch="other")
    message_id = group(warehouse, channels=("email", "file", "email"))
    ids = {alert["alert_id"] for alert in read_alerts(warehouse) if alert["message_id"] == message_id}
    assert len(ids) == 3
    assert message_id == build_message_id(BATCH, ids)
    assert [
        (row["channel"], row["state"], row["attempts"], row["next_attempt_at"], row["created"]) for row in read_deliveries(warehouse)
    ] == [
        ("email", "pending", 0, at(61), at(61)),
        ("file", "pending", 0, at(61), at(61)),
    ]


def test_grouping_again_makes_no_second_message(warehouse: File) -> None:
    record(warehouse, candidate(30))
    assert group(warehouse) is not None
    before = read_deliveries(warehouse)
    assert group(warehouse, minute=70) is None
    assert read_deliveries(warehouse) == before
    record(warehouse, candidate(50))
    assert group(warehouse, minute=71) is not None
    assert len(read_deliveries(warehouse)) == 2


def test_without_alerts_or_channels_there_is_no_message(ledger: File) -> None:
    assert group(ledger) is None
    record(ledger, candidate(30))
    assert group(ledger, channels=()) is None
    assert [alert["message_id"] for alert in read_alerts(ledger)] == [None]


def test_a_crash_before_the_grouping_is_committed_leaves_the_alerts_as_they_were(warehouse: File) -> None:
    record(warehouse, candidate(30))
    kill(warehouse, lambda session: group_open_alerts(session, KEY, Grouping(BATCH, ("email",), at(61))))
    assert (read_alerts(warehouse)[0]["message_id"], read_deliveries(warehouse)) == (None, [])
    assert group(warehouse) is not None


def test_a_flood_of_open_alerts_is_one_message(warehouse: File) -> None:
    record(warehouse, *(candidate(30, metric=f"metric {number}") for number in range(501)))
    message_id = group(warehouse)
    with warehouse.reading() as session:
        assert read_message_alerts(session, KEY, str(message_id)).height == 501


def test_the_alerts_of_a_message_are_read_in_whatever_state_they_are_now(warehouse: File) -> None:
    record(warehouse, candidate(30), candidate(10))
    message_id = str(group(warehouse))
    record(warehouse, normal=[10])
    with warehouse.reading() as session:
        assert read_message_alerts(session, KEY, message_id)["status"].to_list() == ["resolved", "open"]


def test_a_claim_takes_what_is_due_and_leases_it(warehouse: File) -> None:
    record(warehouse, candidate(30))
    message_id = str(group(warehouse))
    assert claim(warehouse, minute=60) == []
    assert claim(warehouse, batch="other") == []
    assert claim_one(warehouse) == Delivery(message_id, "email", BATCH, 1, "run-1", at(62) + LEASE, at(61))
    assert state(warehouse) == "claimed"


def test_what_a_run_holds_no_other_run_takes_until_its_lease_ends(warehouse: File) -> None:
    first = prepare(warehouse)
    assert claim(warehouse, minute=63, run="run-2") == []
    assert claim(warehouse, minute=67, run="run-2") == []
    second = claim_one(warehouse, minute=67.01, run="run-2")
    assert (second.attempts, second.claimed_by) == (2, "run-2")
    assert second.message_id == first.message_id


def test_the_same_claim_again_returns_what_it_holds(warehouse: File) -> None:
    first = prepare(warehouse)
    assert claim(warehouse) == [first]
    assert claim(warehouse, minute=63) == []


def test_a_sent_message_is_done(warehouse: File) -> None:
    delivery = prepare(warehouse)
    assert do(warehouse, mark_sent, delivery, at(63))
    assert [(row["state"], row["sent_at"]) for row in read_deliveries(warehouse)] == [("sent", at(63))]
    assert claim(warehouse, minute=9999) == []
    assert not do(warehouse, mark_sent, delivery, at(64))


def test_a_failed_channel_is_tried_again_alone_after_its_back_off(warehouse: File) -> None:
    record(warehouse, candidate(30))
    group(warehouse, channels=("email", "file"))
    email, file = claim(warehouse)
    assert do(warehouse, mark_failed, email, Failure(DOWN, at(62)))
    assert do(warehouse, mark_sent, file, at(62))
    assert claim(warehouse, minute=62.2) == []
    again = claim_one(warehouse, minute=63)
    assert (again.channel, again.attempts) == ("email", 2)
    assert read_deliveries(warehouse)[0]["error"] == "the server is down"


def test_what_is_given_up_is_listed_and_never_tried_again(warehouse: File) -> None:
    delivery = prepare(warehouse)
    with warehouse.reading() as session:
        assert (read_pending(session, KEY, BATCH).height, read_given_up(session, KEY, BATCH).height) == (1, 0)
    assert do(warehouse, mark_given_up, delivery, Failure(REFUSED, at(62)))
    with warehouse.reading() as session:
        assert read_given_up(session, KEY, BATCH)["error"].to_list() == ["no such address: it's 'odd'"]
        assert read_pending(session, KEY, BATCH).is_empty()
        assert read_given_up(session, KEY, "other").is_empty()
    assert claim(warehouse, minute=9999) == []


def test_a_message_whose_alerts_are_all_disproved_is_cancelled_before_it_is_sent(warehouse: File) -> None:
    record(warehouse, candidate(30), candidate(40))
    group(warehouse)
    record(warehouse, normal=[30])
    delivery = claim_one(warehouse)
    assert not do(warehouse, mark_cancelled, delivery, at(62))
    record(warehouse, normal=[40])
    assert do(warehouse, mark_cancelled, delivery, at(62))
    assert state(warehouse) == "cancelled"
    assert not do(warehouse, mark_sent, delivery, at(63))
    assert claim(warehouse, minute=9999) == []


def test_a_message_whose_alerts_a_person_resolved_is_cancelled_too(ledger: File) -> None:
    delivery = prepare(ledger)
    assert do(ledger, resolve_by_hand, read_alerts(ledger)[0]["alert_id"], at(62))
    assert do(ledger, mark_cancelled, delivery, at(62))


def test_a_message_that_was_attempted_is_not_cancelled(warehouse: File) -> None:
    do(warehouse, mark_failed, prepare(warehouse), Failure(DOWN, at(62)))
    record(warehouse, normal=[30])
    assert not do(warehouse, mark_cancelled, claim_one(warehouse, minute=70), at(70))


MARKS = [
    pytest.param(mark_sent, at(80), id="sent"),
    pytest.param(mark_failed, Failure(DOWN, at(80)), id="failed"),
    pytest.param(mark_given_up, Failure(REFUSED, at(80)), id="given up"),
    pytest.param(renew_claim, at(90), id="renewed"),
    pytest.param(mark_cancelled, at(80), id="cancelled"),
]


@pytest.mark.parametrize(("mark", "what"), MARKS)
@pytest.mark.parametrize("run", ["run-2", "run-1"])
def test_a_run_frozen_beyond_its_lease_marks_nothing(ledger: File, mark: Callable[..., bool], what: Any, run: str) -> None:
    frozen = prepare(ledger)
    record(ledger, normal=[30])
    claim_one(ledger, minute=70, run=run)
    before = read_deliveries(ledger)
    assert not do(ledger, mark, frozen, what)
    assert read_deliveries(ledger) == before


@pytest.mark.parametrize(("mark", "what"), MARKS)
@pytest.mark.parametrize(
    ("end", "how"), [(mark_sent, at(63)), (mark_failed, Failure(DOWN, at(63))), (mark_given_up, Failure(REFUSED, at(63)))]
)
def test_a_delivery_that_was_marked_is_not_marked_again(
    ledger: File, mark: Callable[..., bool], what: Any, end: Callable[..., bool], how: Any
) -> None:
    delivery = prepare(ledger)
    do(ledger, end, delivery, how)
    record(ledger, normal=[30])
    assert not do(ledger, mark, delivery, what)


def test_a_claim_is_renewed_before_a_send_that_comes_late(warehouse: File) -> None:
    delivery = prepare(warehouse)
    assert do(warehouse, renew_claim, delivery, at(75))
    assert claim(warehouse, minute=70, run="run-2") == []
    assert do(warehouse, mark_sent, delivery, at(74))


def test_two_runs_at_once_claim_each_delivery_once(warehouse: File) -> None:
    for batch in range(5):
        record(warehouse, candidate(30), batch=f"batch {batch}")
        group(warehouse, batch=f"batch {batch}", channels=("email", "file"))
    taken: dict[str, list[Delivery]] = {"run-1": [], "run-2": []}

    def run(name: str) -> None:
        for batch in range(5):
            taken[name] += claim(warehouse, run=name, batch=f"batch {batch}")

    threads = [threading.Thread(target=run, args=(name,)) for name in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed = [(one.message_id, one.channel) for part in taken.values() for one in part]
    assert len(claimed) == len(set(claimed)) == 10


def build(*, attempts: int = 1, message_id: str = "m") -> Delivery:
    return Delivery(message_id, "email", BATCH, attempts, "run-1", at(65), at(60))


@pytest.mark.parametrize(
    ("error", "attempts", "age", "given_up"),
    [
        pytest.param(DOWN, 1, timedelta(0), False, id="may succeed later"),
        pytest.param(DeliveryError("?"), 1, timedelta(0), False, id="unknown"),
        pytest.param(OSError("?"), 1, timedelta(0), False, id="not of our errors"),
        pytest.param(REFUSED, 1, timedelta(0), True, id="refused for good"),
        pytest.param(DOWN, 2, timedelta(0), False, id="one attempt is left"),
        pytest.param(DOWN, 3, timedelta(0), True, id="the last attempt"),
        pytest.param(DOWN, 1, timedelta(days=3), False, id="as old as its limit"),
        pytest.param(DOWN, 1, timedelta(days=3, seconds=1), True, id="older than its limit"),
    ],
)
def test_when_a_delivery_is_given_up(error: Exception, attempts: int, age: timedelta, given_up: bool) -> None:
    assert is_given_up(build(attempts=attempts), Failure(error, at(60) + age), LIMITS) is given_up


@pytest.mark.parametrize(("attempts", "exhausted"), [(3, False), (4, True)])
def test_attempts_of_runs_that_died_are_counted_too(attempts: int, exhausted: bool) -> None:
    assert is_exhausted(build(attempts=attempts), LIMITS) is exhausted


def test_the_back_off_doubles_up_to_an_hour_and_never_more() -> None:
    waits = [find_backoff(build(attempts=attempt), DOWN).total_seconds() for attempt in (1, 2, 3, 8, 20, 5000)]
    limits = [30, 60, 120, 3600, 3600, 3600]
    assert all(limit / 2 < wait <= limit for wait, limit in zip(waits, limits, strict=True))


def test_the_back_off_spreads_messages_and_repeats_itself() -> None:
    waits = {find_backoff(build(message_id=str(number)), DOWN) for number in range(50)}
    assert len(waits) == 50
    assert find_backoff(build(), DOWN) == find_backoff(replace(build(), claimed_by="run-2"), DOWN)


@pytest.mark.parametrize(
    ("asked", "shortest", "longest"),
    [(None, 15, 30), (-5, 15, 30), (float("nan"), 15, 30), (float("inf"), 15, 30), (7200, 7200, 7200), (10**9, 86400, 86400)],
)
def test_the_channel_may_ask_for_a_longer_wait(asked: float | None, shortest: float, longest: float) -> None:
    wait = find_backoff(build(), RetryableDeliveryError("slow down", asked)).total_seconds()
    assert shortest <= wait <= longest


@pytest.mark.parametrize(("error", "text"), [(TimeoutError(), "TimeoutError"), (DeliveryError("x" * 9999), "x" * 500)])
def test_an_error_is_kept_as_a_short_text(ledger: File, error: Exception, text: str) -> None:
    do(ledger, mark_failed, prepare(ledger), Failure(error, at(62)))
    assert read_deliveries(ledger)[0]["error"] == text
