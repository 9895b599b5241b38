"""Law 3: recorded before it is sent, marked sent only after the channel accepted it, tried again alone, never lost silently."""

from __future__ import annotations

from datetime import timedelta

import pytest

from anomflow.errors import RunError


@pytest.fixture
def alarmed(world, series, at):
    """A world with one open alert that nobody was told of."""
    world.configure("alert_methods: [email, file]\n")
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", "score", as_of=at(329))
    return world


def states(world):
    return dict(world.table("_deliveries").select("channel", "state").iter_rows())


def test_mail_tells_what_the_ledger_knows(alarmed, mailbox, at):
    alarmed.run("alert", as_of=at(329))
    (mail,) = mailbox.mails
    (alert,) = alarmed.alerts(kind="anomaly", status="open").iter_rows(named=True)
    assert "orders" in mail["Subject"]
    assert alert["message_id"] in mail["Message-ID"]
    plain = mail.get_body(("plain",)).get_content()
    assert "anomflow explain shop orders" in plain
    images = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert [image.get_payload(decode=True)[:8] for image in images] == [b"\x89PNG\r\n\x1a\n"]
    assert states(alarmed) == {"email": "sent", "file": "sent"}


def test_server_that_is_down_for_an_hour_gets_the_mail_once_and_the_file_is_not_written_again(alarmed, mailbox, at):
    mailbox.answers = ["451 try later"] * 3
    file = alarmed.folder / "home" / "messages"
    minutes = 0
    alarmed.run("alert", as_of=at(329))
    first = {path.name: path.stat().st_mtime_ns for path in file.iterdir()}
    assert states(alarmed) == {"email": "failed", "file": "sent"}
    while minutes < 120:
        minutes += 5
        alarmed.run("alert", as_of=at(329) + timedelta(minutes=minutes))
    assert states(alarmed) == {"email": "sent", "file": "sent"}
    assert len(mailbox.mails) == 1
    assert {path.name: path.stat().st_mtime_ns for path in file.iterdir()} == first


def test_refused_for_good_fails_the_run_and_stays_in_the_ledger(alarmed, mailbox, at):
    mailbox.answers = ["550 no such user"]
    with pytest.raises(RunError, match=r"given up.*email"):
        alarmed.run("alert", as_of=at(329))
    assert states(alarmed) == {"email": "given_up", "file": "sent"}
    alarmed.run("alert", as_of=at(330))
    assert mailbox.mails == []


def test_past_times_go_to_local_channels_only(alarmed, mailbox, at):
    alarmed.run("alert", as_of=at(329), send=False)
    assert mailbox.mails == []
    assert states(alarmed) == {"file": "sent"}


def test_message_that_waits_is_cancelled_when_its_alerts_are_disproved(alarmed, mailbox, series, at):
    from tasks.delivery import group_alerts
    from tasks.outbox import Outbox

    run = alarmed.open(at(329))
    group_alerts(Outbox(run.library, alarmed.clock, run.run_id, run.load_notifier), ("email",))
    alarmed.put(series("orders", 330)[327:328])
    alarmed.run("ingest", "score", "alert", as_of=at(329))
    assert mailbox.mails == []
    assert states(alarmed) == {"email": "cancelled"}


def test_frozen_run_that_wakes_after_its_lease_repeats_the_message_under_the_same_id(alarmed, mailbox, at):
    from tasks.delivery import claim, deliver, group_alerts
    from tasks.outbox import LEASE, Outbox

    frozen = alarmed.open(at(329))
    outbox = Outbox(frozen.library, alarmed.clock, frozen.run_id, frozen.load_notifier)
    group_alerts(outbox, ("email",))
    (held,) = claim(outbox)
    alarmed.run("alert", as_of=at(329))
    assert mailbox.mails == []
    alarmed.run("alert", as_of=at(329) + LEASE + timedelta(seconds=1))
    assert len(mailbox.mails) == 1
    late = deliver(outbox, held)
    assert late.state == "lost"
    assert len(mailbox.mails) == 1


def test_a_server_never_shows_its_password():
    from blocks.notifiers.smtp import Server

    server = Server("mail.example.org", 25, "none", "ann", "sesame", timeout_seconds=1, verify=True, ca_file=None)
    assert "ann" in repr(server)
    assert "sesame" not in repr(server)
