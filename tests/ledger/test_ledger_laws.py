"""Producers, alert runs and crashes in any order: what must hold of messages whatever happens."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from anomflow.errors import RetryableDeliveryError
from anomflow.ledger.alerts import record_judgements, resolve_by_hand
from anomflow.ledger.deliveries import (
    Claim,
    Delivery,
    Failure,
    Grouping,
    claim_deliveries,
    group_open_alerts,
    mark_cancelled,
    mark_failed,
    mark_sent,
)
from anomflow.ledger.resolutions import add_resolution, find_channel, is_resolution, mark_waiting, release_resolutions
from tests.ledger.ledger_story import BATCH, KEY, LEASE, at, candidate, judgements, read_alerts, read_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable

    from anomflow.protocols import Session
    from tests.ledger.ledger_session import File

MINUTES = st.integers(0, 12)
RUNS = st.sampled_from(["run-1", "run-2"])


class KilledError(Exception):
    """Stand for SIGKILL within a transaction."""


class Ledger(RuleBasedStateMachine):
    """Two alert runs and producers over one ledger; the channel counts what it accepted."""

    open_ledger: Callable[[], File]

    def __init__(self) -> None:
        super().__init__()
        self.minute = 60.0
        self.anomalous: dict[int, float] = {}
        self.held: dict[str, list[Delivery]] = {"run-1": [], "run-2": []}
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.unknown: Counter[tuple[str, str]] = Counter()
        self.message_of: dict[str, str] = {}
        self.sent_alerts: Counter[tuple[str, str]] = Counter()

    @initialize()
    def open(self) -> None:
        self.file = type(self).open_ledger()

    def attempt(self, work: Callable[[Session], Any], *, killed: bool) -> Any:
        """Do a transaction, or be killed just before its commit."""
        with suppress(KilledError), self.file.writing() as session:
            result = work(session)
            if killed:
                raise KilledError
            return result
        return None

    @rule(
        rows=st.dictionaries(MINUTES, st.sampled_from([0.0, 10.0, 11.0]), min_size=1, max_size=4),
        reach=st.sampled_from([0, 2, None]),
        killed=st.booleans(),
    )
    def produce(self, rows: dict[int, float], reach: float | None, killed: bool) -> None:
        """Judge rows: a value of 0 is normal. Recorded the same again changes nothing."""
        found = [candidate(minute, reach=reach, metric_value=value) for minute, value in rows.items() if value]
        judged = judgements(*found, normal=[minute for minute, value in rows.items() if not value], budget=3)
        self.attempt(lambda session: record_judgements(session, KEY, judged), killed=killed)
        if not killed:
            self.anomalous.update(rows)
            before = read_alerts(self.file)
            self.attempt(lambda session: record_judgements(session, KEY, judged), killed=False)
            assert read_alerts(self.file) == before

    @rule(killed=st.booleans(), channels=st.sampled_from([("email",), ("email", "pager")]))
    def group(self, killed: bool, channels: tuple[str, ...]) -> None:
        grouping = Grouping(BATCH, channels, at(self.minute))
        self.attempt(lambda session: group_open_alerts(session, KEY, grouping), killed=killed)

    @rule(run=RUNS, killed=st.booleans())
    def claim(self, run: str, killed: bool) -> None:
        claimed = self.attempt(lambda session: self.take(session, run), killed=killed)
        self.held[run] += [delivery for delivery in claimed or [] if delivery not in self.held[run]]

    def take(self, session: Session, run: str) -> list[Delivery]:
        release_resolutions(session, KEY, BATCH, at(self.minute))
        return claim_deliveries(session, KEY, Claim(BATCH, run, at(self.minute), LEASE))

    def hold_back(self, session: Session, delivery: Delivery) -> bool:
        if is_resolution(delivery.channel):
            return mark_waiting(session, KEY, delivery)
        return mark_cancelled(session, KEY, delivery, at(self.minute))

    def mark(self, session: Session, delivery: Delivery) -> bool:
        marked = mark_sent(session, KEY, delivery, at(self.minute))
        if marked and delivery.channel == "pager":
            add_resolution(session, KEY, delivery, at(self.minute))
        return marked

    @precondition(lambda self: any(self.held.values()))
    @rule(run=RUNS, outcome=st.sampled_from(["accepted", "accepted, then killed", "failed", "killed"]))
    def deliver(self, run: str, outcome: str) -> None:
        if not self.held[run]:
            return
        delivery = self.held[run].pop(0)
        if outcome != "killed" and not self.attempt(lambda session: self.hold_back(session, delivery), killed=False):
            self.send(delivery, outcome)

    def send(self, delivery: Delivery, outcome: str) -> None:
        if outcome == "failed":
            failure = Failure(RetryableDeliveryError("down"), at(self.minute))
            self.attempt(lambda session: mark_failed(session, KEY, delivery, failure), killed=False)
            return
        key = (delivery.message_id, delivery.channel)
        self.accepted[key] += 1
        marked = self.attempt(lambda session: self.mark(session, delivery), killed=outcome == "accepted, then killed")
        self.unknown[key] += not marked  # a crash after sending, or a freeze beyond the lease

    @rule(minutes=st.sampled_from([0.5, 3, 6, 90]))
    def wait(self, minutes: float) -> None:
        self.minute += minutes

    @precondition(lambda self: read_alerts(self.file))
    @rule(pick=st.integers(0, 99))
    def resolve(self, pick: int) -> None:
        alerts = read_alerts(self.file)
        chosen = alerts[pick % len(alerts)]["alert_id"]
        self.attempt(lambda session: resolve_by_hand(session, KEY, chosen, at(self.minute)), killed=False)

    @invariant()
    def only_an_unknown_outcome_repeats_a_message(self) -> None:
        assert all(count <= 1 + self.unknown[key] for key, count in self.accepted.items())

    @invariant()
    def what_is_marked_sent_was_accepted(self) -> None:
        sent = [(row["message_id"], row["channel"]) for row in self.deliveries() if row["state"] == "sent"]
        assert all(self.accepted[key] for key in sent)

    @invariant()
    def what_is_resolved_was_told_to_that_channel_before(self) -> None:
        assert all(self.accepted[message, find_channel(channel)] for message, channel in self.accepted)

    @invariant()
    def an_alert_keeps_its_one_message(self) -> None:
        told = {alert["alert_id"]: alert["message_id"] for alert in self.alerts() if alert["message_id"]}
        assert told.items() >= self.message_of.items()
        self.message_of = told

    @invariant()
    def every_message_has_its_deliveries_and_the_other_way_round(self) -> None:
        assert {row["message_id"] for row in self.deliveries()} == set(self.message_of.values())

    @invariant()
    def an_alert_is_resolved_exactly_while_its_value_is_normal(self) -> None:
        for alert in self.alerts():
            is_normal = not self.anomalous[round((alert["metric_timestamp"] - at(0)).total_seconds() / 60)]
            assert is_normal <= (alert["status"] == "resolved")
            assert (alert["status"] != "resolved") or is_normal or alert["reason"].startswith("resolved by hand")

    def alerts(self) -> list[dict[str, Any]]:
        return read_alerts(self.file)

    def deliveries(self) -> list[dict[str, Any]]:
        return read_deliveries(self.file)

    def teardown(self) -> None:
        """Let a last run deliver everything: nothing that was open and grouped is lost, and nothing is sent twice."""
        self.minute += 10_000
        self.held = {"run-1": [], "run-2": []}
        self.group(killed=False, channels=("email",))
        for _ in range(2):  # what a message opens is resolved by the run after it
            self.claim("run-1", killed=False)
            while self.held["run-1"]:
                self.deliver("run-1", "accepted")
        messages = [row for row in self.deliveries() if not is_resolution(row["channel"])]
        assert {row["state"] for row in messages} <= {"sent", "cancelled"}
        told = {row["message_id"] for row in messages if row["state"] == "sent"}
        self.every_incident_ends_with_its_alerts()
        assert all(alert["message_id"] in told for alert in self.alerts() if alert["status"] == "open")
        self.only_an_unknown_outcome_repeats_a_message()

    def every_incident_ends_with_its_alerts(self) -> None:
        open_messages = {alert["message_id"] for alert in self.alerts() if alert["status"] != "resolved"}
        of_pager = {row["message_id"] for row in self.deliveries() if row["channel"] == "pager" and row["state"] == "sent"}
        ends = {row["message_id"]: row["state"] for row in self.deliveries() if is_resolution(row["channel"])}
        assert ends.keys() == of_pager
        assert all(ends[message] == "sent" for message in of_pager - open_messages)


def test_whatever_happens_no_message_is_lost_or_sent_twice(open_ledger: Callable[[], File]) -> None:
    machine = type("OpenedLedger", (Ledger,), {"open_ledger": staticmethod(open_ledger)})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25, database=None))
