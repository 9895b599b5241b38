from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import polars as pl
import pytest

from anomflow.decisions.candidate import Judgements
from anomflow.frames import ALERTS
from anomflow.ledger.alerts import Recorded, record_judgements, resolve_by_hand
from anomflow.ledger.deliveries import mark_cancelled, mark_sent
from anomflow.ledger.ids import build_alert_id, build_message_id
from tests.ledger.ledger_story import (
    KEY,
    at,
    candidate,
    claim,
    group,
    judgements,
    kill,
    read_alerts,
    read_deliveries,
    record,
    statuses,
)

if TYPE_CHECKING:
    from anomflow.ledger.deliveries import Delivery
    from tests.ledger.ledger_session import File

DAY = timedelta(days=1)


def bring(file: File, state: str, *, told: bool = False) -> str:
    """Bring an alert at minute 30 into a state and return its id."""
    if state == "snoozed":
        record(file, candidate(29))
    first = {"snoozed": candidate(30, reach=1), "late": candidate(30, max_age=timedelta(0))}.get(state, candidate(30))
    record(file, first)
    if told:
        group(file)
    if state == "corrected":
        record(file, normal=[30])
    if state == "by hand":
        assert resolve(file, find(file)["alert_id"])
    return find(file)["alert_id"]


def resolve(file: File, alert_id: str) -> bool:
    with file.writing() as session:
        return resolve_by_hand(session, KEY, alert_id, at(65))


def find(file: File, minute: int = 30) -> dict[str, Any]:
    return next(alert for alert in read_alerts(file) if alert["metric_timestamp"] == at(minute))


def test_a_recorded_alert_has_all_columns(warehouse: File) -> None:
    hostile = "a'; drop table x; --\n\N{SNOWMAN}"
    recorded = record(warehouse, candidate(30, metric=hostile, reason="it's\nodd"), tags={hostile: {"team": "o'neil"}})
    assert recorded == Recorded(opened=1)
    assert read_alerts(warehouse) == [
        {
            "alert_id": build_alert_id("sales", "anomaly", hostile, at(30)),
            "metric_batch": "sales",
            "metric_name": hostile,
            "kind": "anomaly",
            "metric_timestamp": at(30),
            "detected_at": at(60),
            "metric_value": 10.0,
            "expected_low": 1.0,
            "expected_high": 5.0,
            "anomaly_score": 0.9,
            "surprise": 4.0,
            "reason": "it's\nodd",
            "status": "open",
            "message_id": None,
            "tags": '{"team": "o\'neil"}',
            "feedback": None,
            "feedback_at": None,
            "feedback_note": None,
        }
    ]


def test_the_first_three_rows(warehouse: File) -> None:
    recorded = record(warehouse, candidate(10, reach=5), candidate(15, reach=5), candidate(20, reach=5, max_age=timedelta(minutes=1)))
    assert recorded == Recorded(opened=1, snoozed=1, late=1)
    assert statuses(warehouse) == ["open", "snoozed", "late"]
    assert read_alerts(warehouse)[1]["reason"] == "jumped (snoozed: near the alert of 2024-03-01 00:10:00 UTC)"


@pytest.mark.parametrize("minute", [20, 40])
def test_a_row_that_arrives_late_meets_the_alert_on_its_other_side(ledger: File, minute: int) -> None:
    record(ledger, candidate(30))
    assert record(ledger, candidate(minute, reach=10)) == Recorded(snoozed=1)
    assert record(ledger, candidate(minute * 10, reach=None)) == Recorded(snoozed=1)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(candidate(30, metric="visits"), id="of another metric"),
        pytest.param(candidate(30, kind="flatline"), id="of another kind"),
        pytest.param(candidate(30, max_age=timedelta(0)), id="that is late"),
        pytest.param(candidate(26, reach=0), id="beyond the snooze"),
    ],
)
def test_an_alert_that_does_not_snooze(ledger: File, other: Any) -> None:
    record(ledger, other)
    assert record(ledger, candidate(31, reach=4)) == Recorded(opened=1)


def test_an_alert_of_another_batch_does_not_snooze(warehouse: File) -> None:
    record(warehouse, candidate(30), batch="other")
    assert record(warehouse, candidate(31, reach=4)) == Recorded(opened=1)
    record(warehouse, normal=[30, 31], batch="other")
    assert sorted(statuses(warehouse)) == ["open", "resolved"]


@pytest.mark.parametrize("state", ["open", "snoozed", "late"])
@pytest.mark.parametrize(
    ("again", "status"),
    [
        pytest.param(candidate(30, metric_value=11.0), "open", id="now opens"),
        pytest.param(candidate(30, metric_value=11.0, max_age=timedelta(0)), "late", id="now late"),
    ],
)
def test_a_corrected_value_that_is_anomalous_too_is_decided_anew(ledger: File, state: str, again: Any, status: str) -> None:
    bring(ledger, state)
    recorded = record(ledger, again)
    alert = find(ledger)
    assert (alert["status"], alert["metric_value"], alert["reason"]) == (status, 11.0, "jumped")
    assert recorded == Recorded(**({"unchanged": 1} if status == state else {"opened" if status == "open" else "late": 1}))


def test_a_corrected_value_is_snoozed_when_another_alert_is_near_now(warehouse: File) -> None:
    bring(warehouse, "open")
    record(warehouse, candidate(35))
    assert record(warehouse, candidate(30, reach=5, metric_value=11.0)) == Recorded(snoozed=1)
    assert find(warehouse)["status"] == "snoozed"


def test_an_alert_that_a_message_told_of_keeps_what_it_told(warehouse: File) -> None:
    bring(warehouse, "open", told=True)
    before = read_alerts(warehouse)
    assert record(warehouse, candidate(30, metric_value=11.0, max_age=timedelta(0))) == Recorded(unchanged=1)
    assert read_alerts(warehouse) == before


@pytest.mark.parametrize(("state", "told"), [("open", False), ("open", True), ("snoozed", False), ("late", False)])
def test_an_alert_that_is_disproved_is_resolved_as_corrected(ledger: File, state: str, told: bool) -> None:
    bring(ledger, state, told=told)
    reason = find(ledger)["reason"]
    assert record(ledger, normal=[30]) == Recorded(corrected=1)
    assert (find(ledger)["status"], find(ledger)["reason"]) == ("resolved", f"corrected; {reason}")
    assert record(ledger, normal=[30]) == Recorded()


def test_a_corrected_alert_that_was_never_told_is_decided_anew(warehouse: File) -> None:
    bring(warehouse, "corrected")
    assert record(warehouse, candidate(30, metric_value=12.0)) == Recorded(opened=1, reopened=1)
    assert (find(warehouse)["status"], find(warehouse)["metric_value"], find(warehouse)["reason"]) == ("open", 12.0, "jumped")
    assert group(warehouse) is not None


def test_a_corrected_alert_is_snoozed_where_another_one_is_near_by_now(warehouse: File) -> None:
    bring(warehouse, "corrected")
    record(warehouse, candidate(32))
    assert record(warehouse, candidate(30, reach=2)) == Recorded(snoozed=1)


def test_a_corrected_alert_that_was_told_opens_again_without_another_message(warehouse: File) -> None:
    bring(warehouse, "corrected", told=True)
    message_id = find(warehouse)["message_id"]
    again = candidate(30, metric_value=12.0, max_age=timedelta(0))
    assert record(warehouse, again) == Recorded(opened=1, reopened=1)
    assert (find(warehouse)["status"], find(warehouse)["metric_value"]) == ("open", 12.0)
    assert group(warehouse, minute=70) is None
    assert find(warehouse)["message_id"] == message_id


def test_a_corrected_alert_snoozes_nothing(warehouse: File) -> None:
    bring(warehouse, "corrected")
    assert record(warehouse, candidate(31, reach=5)) == Recorded(opened=1)


def test_an_alert_corrected_in_this_very_run_snoozes_nothing(warehouse: File) -> None:
    bring(warehouse, "open")
    assert record(warehouse, candidate(31, reach=5), normal=[30]) == Recorded(opened=1, corrected=1)


def test_an_alert_reopened_in_this_very_run_snoozes(warehouse: File) -> None:
    bring(warehouse, "corrected", told=True)
    assert record(warehouse, candidate(30), candidate(31, reach=5)) == Recorded(opened=1, reopened=1, snoozed=1)


def test_an_alert_resolved_by_hand_still_snoozes_and_stays_resolved(warehouse: File) -> None:
    alert_id = bring(warehouse, "by hand")
    assert find(warehouse)["reason"] == "resolved by hand at 2024-03-01T01:05:00Z; jumped"
    assert record(warehouse, candidate(31, reach=5)) == Recorded(snoozed=1)
    assert record(warehouse, candidate(30, metric_value=99.0)) == Recorded(unchanged=1)
    assert record(warehouse, normal=[30]) == Recorded()
    assert record(warehouse, candidate(31, reach=5, metric_value=11.0), normal=[30]) == Recorded(unchanged=1)
    assert find(warehouse)["reason"].startswith("resolved by hand")
    assert not resolve(warehouse, alert_id)


@pytest.mark.parametrize("state", ["snoozed", "late", "corrected"])
def test_only_an_open_alert_is_resolved_by_hand(ledger: File, state: str) -> None:
    alert_id = bring(ledger, state)
    before = read_alerts(ledger)
    assert not resolve(ledger, alert_id)
    assert not resolve(ledger, "no such alert")
    assert read_alerts(ledger) == before


@pytest.mark.parametrize("state", ["open", "snoozed", "late", "corrected", "by hand"])
def test_only_open_alerts_are_grouped(ledger: File, state: str) -> None:
    bring(ledger, state)
    group(ledger)
    assert (find(ledger)["message_id"] is not None) is (state == "open")


def test_the_same_judgements_again_change_nothing(warehouse: File) -> None:
    rows = (candidate(10, reach=5), candidate(14, reach=5), candidate(30), candidate(1, max_age=timedelta(0), expected_low=float("nan")))
    record(warehouse, *rows, normal=[11, 12])
    before = read_alerts(warehouse)
    assert record(warehouse, *rows, normal=[11, 12]) == Recorded(unchanged=4)
    assert record(warehouse, *rows, normal=[11, 12], as_of=at(60) + 9 * DAY) == Recorded(unchanged=4)
    assert read_alerts(warehouse) == before


def test_judging_nothing_reads_and_writes_nothing(warehouse: File) -> None:
    with warehouse.writing() as session:
        assert record_judgements(session, KEY, judgements()) == Recorded()
        assert session.statements == 0


def test_a_row_that_was_not_judged_keeps_its_alert(warehouse: File) -> None:
    bring(warehouse, "open")
    assert record(warehouse, normal=[29, 31]) == Recorded()
    assert statuses(warehouse) == ["open"]


def test_information_is_open_once_per_point_and_never_snoozed(warehouse: File) -> None:
    info = {"kind": "info", "reach": None}
    assert record(warehouse, candidate(30, **info)) == Recorded(opened=1)
    assert record(warehouse, candidate(31, **info)) == Recorded(opened=1)
    assert record(warehouse, candidate(31, **info)) == Recorded(unchanged=1)


def test_the_budget_counts_what_the_ledger_opened_in_30_days(warehouse: File) -> None:
    for day in range(3):
        record(warehouse, candidate(day * 1440), budget=3, as_of=at(day * 1440))
    later = {"budget": 3, "as_of": at(4 * 1440)}
    assert record(warehouse, candidate(4 * 1440), **later) == Recorded(snoozed=1)
    assert read_alerts(warehouse)[-1]["reason"] == "jumped (snoozed: 3 alerts of the 30 days before were as high)"
    assert record(warehouse, candidate(4 * 1440 + 1, anomaly_score=0.95), **later) == Recorded(opened=1)
    assert record(warehouse, candidate(40 * 1440), budget=3, as_of=at(40 * 1440)) == Recorded(opened=1)


def test_the_order_in_which_metrics_and_kinds_are_recorded_does_not_matter(open_ledger: Any) -> None:
    parts = [
        (candidate(30), candidate(32, reach=5)),
        (candidate(30, metric="visits"), candidate(31, metric="visits", reach=5)),
        (candidate(30, kind="flatline"),),
    ]
    forth, back = open_ledger(), open_ledger()
    for part in parts:
        record(forth, *part)
    for part in reversed(parts):
        record(back, *part)
    assert read_alerts(forth) == read_alerts(back)


def test_a_crash_before_the_commit_leaves_nothing(warehouse: File) -> None:
    kill(warehouse, lambda session: record_judgements(session, KEY, judgements(candidate(30))))
    assert read_alerts(warehouse) == []
    assert record(warehouse, candidate(30)) == Recorded(opened=1)


def test_ten_thousand_judged_rows_take_a_handful_of_statements(warehouse: File) -> None:
    names = [f"metric {number}" for number in range(1000)]
    found = tuple(candidate(minute, metric=name) for name in names[:500] for minute in (1, 2))
    judged = pl.DataFrame({"metric_name": names}).join(
        pl.DataFrame({"metric_timestamp": [at(minute) for minute in range(10)]}), how="cross"
    )
    judged = judged.cast({"metric_timestamp": ALERTS.columns["metric_timestamp"]})
    changed = tuple(candidate(minute, metric=name, metric_value=7.0) for name in names[:500] for minute in (1, 2))
    counts = []
    for rows in (found, changed, ()):
        with warehouse.writing() as session:
            record_judgements(session, KEY, Judgements("sales", "anomaly", at(60), judged, rows))
            counts.append(session.statements)
    assert max(counts) <= 10
    assert {(alert["metric_value"], alert["status"]) for alert in read_alerts(warehouse)} == {(7.0, "resolved")}


def cancel(file: File, *, run: str = "run-1") -> Delivery:
    (delivery,) = claim(file, run=run)
    with file.writing() as session:
        assert mark_cancelled(session, KEY, delivery, at(62))
    return delivery


def test_a_cancelled_message_is_sent_after_all_when_its_alert_is_anomalous_again(warehouse: File) -> None:
    bring(warehouse, "corrected", told=True)
    first = cancel(warehouse)
    record(warehouse, candidate(30, metric_value=12.0))
    assert [row["state"] for row in read_deliveries(warehouse)] == ["pending"]
    (again,) = claim(warehouse, minute=63, run="run-2")
    assert (again.message_id, again.attempts) == (first.message_id, 1)
    with warehouse.writing() as session:
        assert not mark_sent(session, KEY, first, at(64))
        assert mark_sent(session, KEY, again, at(64))


def test_a_cancelled_message_stays_so_when_its_alert_is_late_by_then(ledger: File) -> None:
    bring(ledger, "corrected", told=True)
    cancel(ledger)
    assert record(ledger, candidate(30, max_age=timedelta(0))) == Recorded(opened=1, reopened=1)
    assert [row["state"] for row in read_deliveries(ledger)] == ["cancelled"]


@pytest.mark.parametrize("minute", [-900, 900])
def test_a_snooze_without_end_is_looked_up_beside_short_ones(ledger: File, minute: int) -> None:
    record(ledger, candidate(minute))
    assert record(ledger, candidate(30, reach=None), candidate(30, metric="visits", reach=1)) == Recorded(opened=1, snoozed=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b", "c"), ("a", "b", "d")),
        (("a", "bc", "d"), ("ab", "c", "d")),
        (('a", "b', "c", "d"), ("a", 'b", "c', "d")),
        (("", "a", "b"), ("a", "", "b")),
        (("a", "b", "\u00e9"), ("a", "b", "e\u0301")),
    ],
)
def test_different_alerts_have_different_ids(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert build_alert_id(*one, at(0)) != build_alert_id(*other, at(0))
    assert build_alert_id(*one, at(0)) != build_alert_id(*one, at(0) + timedelta(microseconds=1))


def test_ids_are_the_same_whenever_and_wherever_they_are_built() -> None:
    zone = at(0).astimezone(tz=None)
    assert build_alert_id("a", "b", "c", zone) == build_alert_id("a", "b", "c", at(0)) == "f64318eb-7822-5cb9-b966-2ccbeeae3be0"
    assert build_message_id("a", ["2", "1"]) == build_message_id("a", ["1", "2"]) == "34abee7d-698e-526b-bc7b-4a03304d70c9"
    assert UUID(build_message_id("a", ["1"])).version == 5
