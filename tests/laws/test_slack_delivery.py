"""Law 3 with two channels over the network: one that is down is tried again alone, with what it asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from slack_receiver import TOKEN, Reply, run_slack

from anomflow.errors import RunError
from flows.alert import alert_stage

POST = "chat.postMessage"


@pytest.fixture
def slack(monkeypatch):
    with run_slack() as receiver:
        for name, value in {"TOKEN": TOKEN, "CHANNEL": "#alerts", "BASE_URL": receiver.base_url}.items():
            monkeypatch.setenv(f"ANOMFLOW_SLACK_{name}", value)
        yield receiver


@pytest.fixture
def alarmed(world, mailbox, series, at):
    """A world with one open alert for mail and Slack that nobody was told of."""
    world.configure("alert_methods: email,slack\nmetric_tags: {'*': {team: shop}, 'ord*': {page: orders}}\n")
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", "score", as_of=at(329))
    return world


def states(world):
    return dict(world.table("_deliveries").select("channel", "state").iter_rows())


def test_slack_and_mail_tell_of_the_same_alert_with_its_tags(alarmed, mailbox, slack, at):
    alarmed.run("alert", as_of=at(329))
    assert states(alarmed) == {"email": "sent", "slack": "sent"}
    assert "page=orders, team=shop" in slack.texts
    assert "page=orders, team=shop" in mailbox.mails[0].get_body(("plain",)).get_content()
    assert len(slack.threads) == 1


def test_slack_that_is_down_is_tried_again_alone(alarmed, mailbox, slack, at):
    slack.replies = {POST: [Reply(503, "down")] * 2}
    for minutes in range(0, 60, 5):
        alarmed.run("alert", as_of=at(329) + timedelta(minutes=minutes))
    assert states(alarmed) == {"email": "sent", "slack": "sent"}
    assert (len(mailbox.mails), len(slack.messages), slack.calls.count(POST)) == (1, 1, 3)


def test_mail_that_is_down_does_not_repeat_the_message_in_slack(alarmed, mailbox, slack, at):
    mailbox.answers = ["451 try later"]
    for minutes in range(0, 30, 5):
        alarmed.run("alert", as_of=at(329) + timedelta(minutes=minutes))
    assert states(alarmed) == {"email": "sent", "slack": "sent"}
    assert (len(mailbox.mails), len(slack.messages)) == (1, 1)


def test_slack_is_left_alone_for_as_long_as_it_asks(alarmed, mailbox, slack, at):
    slack.replies = {POST: [Reply(429, "", {"Retry-After": "1800"})]}
    alarmed.run("alert", as_of=at(329))
    alarmed.run("alert", as_of=at(329) + timedelta(minutes=29))
    assert slack.calls.count(POST) == 1
    alarmed.run("alert", as_of=at(329) + timedelta(minutes=31))
    assert states(alarmed) == {"email": "sent", "slack": "sent"}


def test_a_channel_that_is_wrong_fails_the_run_and_not_the_mail(alarmed, mailbox, slack, monkeypatch, at):
    monkeypatch.setenv("ANOMFLOW_SLACK_CHANNEL", "#nowhere")
    with pytest.raises(RunError, match=r"slack: .*channel_not_found.*invite the app"):
        alarmed.run("alert", as_of=at(329))
    assert states(alarmed) == {"email": "sent", "slack": "given_up"}


def test_slack_without_a_token_costs_the_mail_nothing(alarmed, mailbox, at):
    (outcome,) = alarmed.run("alert", as_of=at(329))
    assert states(alarmed) == {"email": "sent", "slack": "failed"}
    assert "ANOMFLOW_SLACK_TOKEN" in outcome.text


def test_a_chart_that_slack_does_not_take_is_told_by_the_run(alarmed, mailbox, slack, at):
    slack.replies = {"files.getUploadURLExternal": [Reply(body={"ok": False, "error": "missing_scope"})]}
    (outcome,) = alarmed.run("alert", as_of=at(329))
    assert "slack: accepted, but without 1 of 1 charts" in outcome.text
    assert states(alarmed) == {"email": "sent", "slack": "sent"}


def test_a_delivery_is_held_for_longer_than_its_channel_may_take():
    from blocks.notifiers.console import ConsoleNotifier
    from blocks.notifiers.slack import SlackNotifier
    from tasks.outbox import LEASE, find_lease

    slow = SlackNotifier(token=TOKEN, channel="#a", timeout_seconds=300)
    assert find_lease(slow) > timedelta(seconds=slow.send_seconds)
    assert find_lease(slow) > LEASE
    assert find_lease(ConsoleNotifier()) == LEASE


def test_a_batch_has_templates_of_its_own_from_files_of_its_folder(alarmed, mailbox, slack, at):
    alarmed.configure(
        "alert_methods: email\n"
        "vars: {runbook: https://wiki.example.org/orders}\n"
        "alert_message_subject: 'ALERT {{ letter.entries[0].lead.headline }}'\n"
        "alert_message_html: \"{% include 'shop/mail.html' %}\"\n"
    )
    extended = '{% extends "anomflow/message.html" %}{% block footer %}Runbook: {{ vars.runbook }}{% endblock %}'
    (alarmed.folder / "metrics" / "shop" / "mail.html").write_text(extended)
    alarmed.run("alert", as_of=at(329))
    (mail,) = mailbox.mails
    assert mail["Subject"].startswith("ALERT orders is high")
    html = mail.get_body(("html",)).get_content()
    assert "Runbook: https://wiki.example.org/orders" in html
    assert "orders is high" in html


def test_a_template_file_that_is_gone_when_an_alert_comes_costs_no_alert(alarmed, mailbox, slack, at):
    alarmed.configure("alert_methods: email\nalert_message_subject: \"{% include 'shop/subject.txt' %}\"\n")
    file = alarmed.folder / "metrics" / "shop" / "subject.txt"
    file.write_text("mine")
    run = alarmed.open(at(329))
    file.unlink()
    alert_stage(run)
    (mail,) = mailbox.mails
    assert "orders is high" in mail["Subject"]
    assert "alert_message_subject could not be used" in mail.get_body(("plain",)).get_content()
