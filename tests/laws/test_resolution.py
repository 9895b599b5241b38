"""Laws 2 and 3 for what a message opened at a pager: it is resolved once, when the last alert of the message is."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest
from http_channels import run_services
from slack_receiver import Reply

from anomflow.ledger.alerts import resolve_by_hand
from flows.alert import alert_stage

NAMES = ("opsgenie", "pagerduty", "webhook")
HALF_HOUR = timedelta(minutes=30)
BOTH = ["trigger", "resolve"]
SETTINGS = """\
alert_methods: [{methods}]
alert_max_age: 10d
disable_freshness: true
disable_missing: true
disable_volume: true
tholdalert_thresholds:
  orders: {{upper: 200}}
  sales: {{upper: 200}}
"""


@pytest.fixture
def services(monkeypatch):
    with run_services(NAMES, monkeypatch.setenv) as running:
        yield running


@pytest.fixture
def pager(services):
    return services["pagerduty"]


@pytest.fixture
def alarmed(world, services, series, at):
    """A world with one open alert that nobody was told of."""
    configure(world, "pagerduty")
    correct(world, series, at, 11, spikes=[11])
    return world


@pytest.fixture
def told(alarmed, pager, at):
    """The same, after PagerDuty was told."""
    alarmed.run("alert", as_of=at(11))
    assert list_actions(pager) == ["trigger"]
    return alarmed


def configure(world, methods):
    world.configure(SETTINGS.format(methods=methods))


def correct(world, series, at, hour, *, name="orders", spikes=()):
    """Let the source say something else of a metric's one row, at the hour 11, and judge that."""
    world.put(series(name, 12, spikes=spikes)[11:])
    world.run("ingest", as_of=at(hour))


def resolve_all(world, moment):
    with world.open(moment).warehouse.writing() as session:
        for alert_id in world.alerts(status="open")["alert_id"]:
            assert resolve_by_hand(session, "metrics", alert_id, moment)


def alert(world, moment):
    return world.run("alert", as_of=moment)[0]


def list_actions(pager):
    return [posted.content["event_action"] for posted in pager.accepted]


def states(world):
    return dict(world.table("_deliveries").select("channel", "state").iter_rows())


def test_an_incident_is_resolved_once_under_its_key_when_all_its_alerts_are(alarmed, pager, series, at):
    told = alarmed
    correct(told, series, at, 11, name="sales", spikes=[11])
    alert(told, at(11))
    correct(told, series, at, 12)
    assert alert(told, at(12)).text == "alert: nothing to do"
    assert states(told) == {"pagerduty": "sent", "resolve pagerduty": "waiting"}
    correct(told, series, at, 13, name="sales")
    outcomes = [alert(told, at(hour)) for hour in (13, 14)]
    assert [outcome.text for outcome in outcomes] == ["alert: 1 resolved", "alert: nothing to do"]
    assert list_actions(pager) == BOTH
    assert {posted.content["dedup_key"] for posted in pager.accepted} == set(told.alerts()["message_id"])
    assert set(states(told).values()) == {"sent"}


def test_what_a_person_resolves_is_resolved_at_every_pager_and_no_other_channel_is_told(alarmed, services, at):
    configure(alarmed, ", ".join(NAMES))
    alert(alarmed, at(11))
    resolve_all(alarmed, at(12))
    alert(alarmed, at(12))
    assert {name: len(receiver.accepted) for name, receiver in services.items()} == {"opsgenie": 2, "pagerduty": 2, "webhook": 1}
    created, closed = services["opsgenie"].accepted
    assert closed.path == f"/v2/alerts/{created.content['alias']}/close?identifierType=alias"


def test_data_that_returns_ends_the_incident_of_its_outage(world, pager, series, at):
    world.configure("alert_methods: [pagerduty]\ndisable_missing: true\n")
    world.put(series("orders", 400))
    world.run("ingest", "alert", as_of=at(404))
    assert list_actions(pager) == ["trigger"]
    world.put(series("orders", 406)[400:])
    world.run("ingest", "alert", as_of=at(405.5))
    assert world.alerts(kind="freshness")["reason"].item().startswith("recovered by ")
    assert list_actions(pager) == BOTH


def test_a_pager_that_is_down_hears_of_the_end_later_and_once_however_long_the_incident_was(told, pager, at):
    configure(told, "file")  # what a channel opened it resolves, also when it is no method any more
    resolve_all(told, at(11 + 24 * 30))
    pager.replies = [Reply(503, "down")] * 2
    outcomes = [alert(told, at(11 + 24 * 30) + HALF_HOUR * number) for number in range(4)]
    assert [outcome.counts["to_try_again"] for outcome in outcomes] == [1, 1, 0, 0]
    assert "resolve pagerduty: pagerduty: the answer is 503 down" in outcomes[0].text
    assert list_actions(pager) == BOTH


def test_an_alert_that_ended_before_anything_was_tried_sends_nothing(alarmed, pager, series, at):
    from tasks.delivery import group_alerts
    from tasks.outbox import Outbox

    run = alarmed.open(at(11))
    group_alerts(Outbox(run.library, alarmed.clock, run.run_id, run.load_notifier), ("pagerduty",))
    correct(alarmed, series, at, 12)
    for hour in (12, 13):
        alert(alarmed, at(hour))
    assert pager.tried == []
    assert states(alarmed) == {"pagerduty": "cancelled"}


def test_an_alert_that_ended_after_its_trigger_was_tried_sends_both_in_order(alarmed, pager, series, at):
    pager.replies = [Reply(500, "oops")]
    alert(alarmed, at(11))
    correct(alarmed, series, at, 12)
    for hour in (12, 13, 14):
        alert(alarmed, at(hour))
    assert list_actions(pager) == BOTH


def test_an_alert_that_is_open_again_before_its_end_was_told_keeps_the_incident(told, pager, series, at):
    correct(told, series, at, 12)
    pager.replies = [Reply(503, "down")]
    alert(told, at(12))
    correct(told, series, at, 13, spikes=[11])
    alert(told, at(13))
    assert states(told) == {"pagerduty": "sent", "resolve pagerduty": "waiting"}
    assert list_actions(pager) == ["trigger"]
    correct(told, series, at, 14)
    for hour in (14, 15):
        alert(told, at(hour))
    assert list_actions(pager) == BOTH


def test_what_nobody_was_told_of_ends_unheard(world, pager, series, at):
    configure(world, "pagerduty")
    world.put(series("orders", 12, spikes=[11])[11:])
    world.run("ingest", "alert", as_of=at(11 + 24 * 11))
    assert world.alerts()["status"].to_list() == ["late"]
    correct(world, series, at, 12 + 24 * 11)
    alert(world, at(12 + 24 * 11))
    assert world.alerts()["status"].to_list() == ["resolved"]
    assert pager.tried == []


def test_a_channel_that_is_to_resolve_nothing_does_not(alarmed, services, series, at, monkeypatch):
    configure(alarmed, "pagerduty, opsgenie")
    monkeypatch.setenv("ANOMFLOW_OPSGENIE_RESOLVE", "false")
    alert(alarmed, at(11))
    assert states(alarmed) == {"opsgenie": "sent", "pagerduty": "sent", "resolve pagerduty": "waiting"}
    monkeypatch.setenv("ANOMFLOW_PAGERDUTY_RESOLVE", "false")  # switched off while its incident is open
    correct(alarmed, series, at, 12)
    for hour in (12, 13):
        alert(alarmed, at(hour))
    assert [len(receiver.tried) for receiver in services.values()] == [1, 1, 0]
    assert states(alarmed)["resolve pagerduty"] == "cancelled"


class KilledError(BaseException):
    """Stand for SIGKILL: nothing of ours catches it."""


class Mortal:
    """The warehouse and the channel of a run, which dies at the effect of a number: before and after each commit, after each call."""

    send_seconds, resolve = 1.0, True

    def __init__(self, run, number) -> None:
        self.left, self.warehouse, self.pager = number, run.warehouse, run.load_notifier("pagerduty")
        run.warehouse, run.load_notifier = self, lambda _: self

    @property
    def ledger(self) -> Mortal:
        return self

    def pass_by(self):
        self.left -= 1
        if self.left < 0:
            raise KilledError

    def __getattr__(self, name) -> object:
        return getattr(self.warehouse, name)

    @contextmanager
    def writing(self):
        with self.warehouse.writing() as session:
            yield session
            self.pass_by()
        self.pass_by()

    def send(self, message):
        self.pager.send(message)
        self.pass_by()

    def send_resolution(self, message_id):
        self.pager.send_resolution(message_id)
        self.pass_by()


def test_a_kill_between_any_two_effects_ends_the_incident_all_the_same(told, pager, series, at):
    correct(told, series, at, 12)
    prepared = told.database.read_bytes()
    counts = []
    for number in (5, 7, 8, 9, 10):  # claimed, held, accepted by the pager, before and after that is recorded
        told.database.write_bytes(prepared)
        told.clock.moment = at(12)
        del pager.accepted[1:]
        run = told.open(at(12))
        Mortal(run, number)
        with pytest.raises(KilledError):
            alert_stage(run)
        alert(told, at(12.5))
        assert set(states(told).values()) == {"sent"}, f"effect {number}"
        assert len({posted.content["dedup_key"] for posted in pager.accepted}) == 1
        counts.append(list_actions(pager).count("resolve"))
    assert counts == [1, 1, 2, 2, 1]
