"""Two actors on one ledger without isolation, the second between any two statements of the first: the guards must do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from anomflow.ledger.alerts import record_judgements, resolve_by_hand
from anomflow.ledger.deliveries import Claim, Grouping, claim_deliveries, group_open_alerts
from tests.ledger.ledger_story import (
    BATCH,
    KEY,
    LEASE,
    at,
    candidate,
    claim,
    group,
    judgements,
    read_alerts,
    read_deliveries,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomflow.protocols import Session
    from tests.ledger.ledger_session import File

SOON = timedelta(0)


def produce(*candidates: Any, **changes: Any) -> Callable[[Session], object]:
    return lambda session: record_judgements(session, KEY, judgements(*candidates, **changes))


def resolve(session: Session) -> object:
    return resolve_by_hand(session, KEY, read_id(session), at(65))


def read_id(session: Session) -> str:
    return str(session.read("select alert_id from metrics_alerts order by metric_timestamp").item(0, 0))


ACTORS: dict[str, Callable[[Session], object]] = {
    "alert job": lambda session: group_open_alerts(session, KEY, Grouping(BATCH, ("email",), at(61))),
    "corrected, now late": produce(candidate(30, metric_value=7.0, max_age=SOON)),
    "corrected, still open": produce(candidate(30, metric_value=8.0)),
    "disproved": produce(normal=[30]),
    "the same again": produce(candidate(30)),
    "a neighbour": produce(candidate(31, reach=1)),
    "a person": resolve,
}


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("second", ACTORS)
@pytest.mark.parametrize("first", ACTORS)
@pytest.mark.parametrize("was_corrected", [False, True])
def test_any_two_actors_leave_a_ledger_that_holds_together(ledger: File, first: str, second: str, after: int, was_corrected: bool) -> None:
    record(ledger, candidate(30))
    record(ledger, candidate(50))
    record(ledger, normal=[30] * was_corrected)

    def interrupt() -> None:
        with ledger.writing() as session:
            ACTORS[second](session)

    with ledger.interleaving(after, interrupt) as session:
        ACTORS[first](session)
    alerts = read_alerts(ledger)
    told = {alert["message_id"] for alert in alerts} - {None}
    assert {row["message_id"] for row in read_deliveries(ledger)} == told
    assert all(alert["status"] in {"open", "resolved"} for alert in alerts if alert["message_id"])
    assert all(alert["reason"].startswith(("corrected; ", "resolved by hand at ")) == (alert["status"] == "resolved") for alert in alerts)
    assert next(alert for alert in alerts if alert["metric_timestamp"] == at(50))["status"] == "open"


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_alert_that_the_alert_job_takes_meanwhile_keeps_what_it_tells(ledger: File, after: int) -> None:
    record(ledger, candidate(30))
    with ledger.interleaving(after, lambda: group(ledger)) as session:
        ACTORS["corrected, now late"](session)
    (alert,) = read_alerts(ledger)
    assert (alert["status"], alert["metric_value"], alert["message_id"] is None) in {("open", 10.0, False), ("late", 7.0, True)}


def test_an_alert_that_is_disproved_meanwhile_is_left_out_of_the_message(ledger: File) -> None:
    record(ledger, candidate(30), candidate(50))
    with ledger.interleaving(1, lambda: record(ledger, normal=[30])) as session:
        message_id = group_open_alerts(session, KEY, Grouping(BATCH, ("email",), at(61)))
    assert [alert["message_id"] for alert in read_alerts(ledger)] == [None, message_id]


def test_a_message_whose_alerts_all_went_away_meanwhile_is_none(ledger: File) -> None:
    record(ledger, candidate(30))
    with ledger.interleaving(1, lambda: record(ledger, normal=[30])) as session:
        assert group_open_alerts(session, KEY, Grouping(BATCH, ("email",), at(61))) is None
    assert read_deliveries(ledger) == []


def test_an_alert_that_is_disproved_meanwhile_was_not_resolved_by_a_person(ledger: File) -> None:
    record(ledger, candidate(30))
    alert_id = read_alerts(ledger)[0]["alert_id"]
    with ledger.interleaving(1, lambda: record(ledger, normal=[30])) as session:
        assert not resolve_by_hand(session, KEY, alert_id, at(65))
    assert read_alerts(ledger)[0]["reason"] == "corrected; jumped"


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_two_alert_jobs_at_once_make_one_message(ledger: File, after: int) -> None:
    record(ledger, candidate(30), candidate(50))
    with ledger.interleaving(after, lambda: group(ledger, minute=61.5)) as session:
        group_open_alerts(session, KEY, Grouping(BATCH, ("email",), at(61)))
    assert len({alert["message_id"] for alert in read_alerts(ledger)}) == len(read_deliveries(ledger)) == 1


@pytest.mark.parametrize("after", [1, 2])
def test_two_claims_at_once_share_nothing(ledger: File, after: int) -> None:
    record(ledger, candidate(30))
    group(ledger, channels=("email", "file"))
    second: list[Any] = []
    with ledger.interleaving(after, lambda: second.extend(claim(ledger, run="run-2"))) as session:
        first = claim_deliveries(session, KEY, Claim(BATCH, "run-1", at(62), LEASE))
    assert (len(first), second) == (2, [])


def test_two_producers_of_one_row_record_one_alert(ledger: File) -> None:
    for after in (1, 2):
        with ledger.interleaving(after, lambda: record(ledger, candidate(30))) as session:
            produce(candidate(30))(session)
    assert len(read_alerts(ledger)) == 1
