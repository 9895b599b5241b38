"""The channel slack against a server that answers as Slack does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from mail_receiver import run_silent_server
from message_samples import MESSAGE_ID, make_alert, make_history, make_input, make_message
from pydantic import SecretStr, ValidationError
from slack_receiver import CHANNEL_ID, HOOK_PATH, TOKEN, Reply, SlackReceiver, run_slack

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError, SettingsError
from anomflow.messages import build_message
from blocks.notifiers.slack import NO_CHARTS, SlackNotifier
from tests.services.service import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.messages import Message

POST = "chat.postMessage"


@pytest.fixture(scope="module")
def message() -> Message:
    return make_message()


@pytest.fixture(scope="module")
def many() -> Message:
    names = [f"metric {number}" for number in range(4)]
    alerts = [make_alert(metric_name=name) for name in names]
    return build_message(make_input(*alerts, histories={name: make_history(30) for name in names}))


@pytest.fixture
def slack() -> Iterator[SlackReceiver]:
    with run_slack() as receiver:
        yield receiver


def build_bot(slack: SlackReceiver, **changes: Any) -> SlackNotifier:
    return SlackNotifier(**{"token": SecretStr(TOKEN), "channel": "#alerts", "base_url": slack.base_url, "timeout_seconds": 20, **changes})


def build_hook(slack: SlackReceiver) -> SlackNotifier:
    return SlackNotifier(webhook_url=SecretStr(slack.webhook_url), timeout_seconds=20)


def test_a_bot_posts_blocks_and_puts_the_chart_into_the_thread(slack: SlackReceiver, message: Message) -> None:
    assert build_bot(slack).send(message) is None
    (posted,) = slack.messages
    assert posted["text"] == "checkout: orders is low (3.2, expected 10 to 14)"
    assert posted["blocks"][0]["text"]["text"] == "Anomaly: orders is low (3.2, expected 10 to 14)"
    assert posted["metadata"] == {"event_type": "anomflow_message", "event_payload": {"message_id": MESSAGE_ID}}
    (thread,) = slack.threads
    assert (thread["channel_id"], thread["thread_ts"]) == (CHANNEL_ID, "1700000000.000001")
    assert [file["title"] for file in thread["files"]] == ["checkout: orders"]
    assert [slack.files[file["id"]] for file in thread["files"]] == [message.images[0].png]


def test_the_token_goes_to_the_api_alone(slack: SlackReceiver, message: Message) -> None:
    build_bot(slack).send(message)
    assert slack.tokens["upload"] == ""
    assert slack.tokens[POST] == f"Bearer {TOKEN}"


def test_a_webhook_gets_the_same_blocks_and_says_why_there_is_no_chart(slack: SlackReceiver, message: Message) -> None:
    build_hook(slack).send(message)
    (posted,) = slack.messages
    assert posted["blocks"][0]["text"]["text"].startswith("Anomaly: orders is low")
    assert NO_CHARTS in slack.texts
    assert slack.calls == ["webhook"]


def test_slack_makes_nothing_of_text_by_itself(slack: SlackReceiver, message: Message) -> None:
    build_bot(slack).send(message)
    (posted,) = slack.messages
    switches = ("mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media")
    assert [posted[name] for name in switches] == [False, "none", False, False, False]


ANSWERS: list[tuple[Reply, type[Exception], str, float | None]] = [
    (Reply(429, "slow down", {"Retry-After": "77"}), RetryableDeliveryError, "429 slow down", 77.0),
    (Reply(503, "", {"Retry-After": "5"}), RetryableDeliveryError, "503", 5.0),
    (Reply(500, "oops"), RetryableDeliveryError, "500 oops", None),
    (Reply(200, "<html>login</html>"), RetryableDeliveryError, "did not answer in JSON.*Check base_url", None),
    (Reply(200, "[1]"), RetryableDeliveryError, "did not answer in JSON", None),
    (Reply(200, {"ok": False, "error": "ratelimited"}, {"Retry-After": "9"}), RetryableDeliveryError, "ratelimited", 9.0),
    (Reply(200, {"ok": False, "error": "internal_error"}), RetryableDeliveryError, "internal_error", None),
    (Reply(200, {"ok": False, "error": "some_new_code"}), RetryableDeliveryError, "some_new_code", None),
    (Reply(200, {"ok": False}), RetryableDeliveryError, "no error code", None),
    (Reply(200, {"ok": False, "error": "invalid_auth"}), RefusedDeliveryError, "invalid_auth. Check the bot token", None),
    (Reply(200, {"ok": False, "error": "not_in_channel"}), RefusedDeliveryError, "invite the app", None),
    (Reply(200, {"ok": False, "error": "is_archived"}), RefusedDeliveryError, "not archived", None),
    (Reply(200, {"ok": False, "error": "missing_scope"}), RefusedDeliveryError, "chat:write", None),
    (Reply(200, {"ok": False, "error": "restricted_action"}), RefusedDeliveryError, "administrators", None),
    (Reply(404, "not here"), RefusedDeliveryError, "404 not here. Check base_url", None),
    (Reply(302, "", {"Location": "http://127.0.0.1:1/"}), RefusedDeliveryError, "302. Check base_url", None),
]


@pytest.mark.parametrize("case", ANSWERS, ids=[f"{reply.status} {reply.body}" for reply, *_ in ANSWERS])
def test_an_answer_says_whether_another_attempt_may_succeed(
    case: tuple[Reply, type[Exception], str, float | None], slack: SlackReceiver, message: Message
) -> None:
    reply, error, said, after = case
    slack.replies = {POST: [reply]}
    with pytest.raises(error, match=said) as caught:
        build_bot(slack).send(message)
    assert getattr(caught.value, "retry_after", None) == after
    assert (slack.messages, slack.calls) == ([], [POST])


HOOK_ANSWERS: list[tuple[Reply, type[Exception], str]] = [
    (Reply(404, "no_service"), RefusedDeliveryError, "404 no_service. Check the webhook"),
    (Reply(410, "channel_is_archived"), RefusedDeliveryError, "not archived"),
    (Reply(403, "action_prohibited"), RefusedDeliveryError, "administrators"),
    (Reply(429, "", {"Retry-After": "30"}), RetryableDeliveryError, "429"),
    (Reply(500, "rollup_error"), RetryableDeliveryError, "500 rollup_error"),
]


@pytest.mark.parametrize(("reply", "error", "said"), HOOK_ANSWERS, ids=[str(reply.status) for reply, *_ in HOOK_ANSWERS])
def test_a_webhook_answers_with_a_status(reply: Reply, error: type[Exception], said: str, slack: SlackReceiver, message: Message) -> None:
    slack.replies = {"webhook": [reply]}
    with pytest.raises(error, match=said):
        build_hook(slack).send(message)


@pytest.mark.parametrize("reply", [Reply(429, "", {"Retry-After": "1"}), Reply(500, "oops")])
def test_after_a_failure_the_next_attempt_posts_once(reply: Reply, slack: SlackReceiver, message: Message) -> None:
    slack.replies = {POST: [reply]}
    channel = build_bot(slack)
    with pytest.raises(RetryableDeliveryError):
        channel.send(message)
    assert channel.send(message) is None
    assert len(slack.messages) == len(slack.threads) == 1


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long", "invalid_attachments"])
def test_what_slack_refuses_as_blocks_goes_as_plain_text(code: str, slack: SlackReceiver, message: Message) -> None:
    slack.replies = {POST: [Reply(body={"ok": False, "error": code})]}
    assert build_bot(slack).send(message) == f"sent as plain text, since Slack refused the blocks ({code})"
    (posted,) = slack.messages
    assert "blocks" not in posted
    assert "about 1 in 30,000 points" in posted["text"]
    assert len(slack.threads) == 1


def test_a_webhook_that_refuses_the_blocks_gets_plain_text(slack: SlackReceiver, message: Message) -> None:
    slack.replies = {"webhook": [Reply(400, "invalid_blocks")]}
    assert "plain text" in str(build_hook(slack).send(message))
    assert "orders is low" in slack.messages[0]["text"]


def test_what_slack_refuses_in_both_forms_is_refused(slack: SlackReceiver, message: Message) -> None:
    slack.replies = {POST: [Reply(body={"ok": False, "error": "msg_too_long"})] * 2}
    with pytest.raises(RefusedDeliveryError, match=r"neither the blocks nor the plain text.*msg_too_long"):
        build_bot(slack).send(message)


FILE_FAILURES: list[tuple[str, Reply, str]] = [
    ("files.getUploadURLExternal", Reply(body={"ok": False, "error": "missing_scope"}), "files:write"),
    ("files.getUploadURLExternal", Reply(body={"ok": True}), "without 'upload_url'"),
    ("files.getUploadURLExternal", Reply(429, "", {"Retry-After": "30"}), "429"),
    ("files.getUploadURLExternal", Reply(body={"ok": True, "upload_url": "ftp://x/y", "file_id": "F1"}), "cannot be called"),
    ("upload", Reply(500, "oops"), "500 oops"),
    ("files.completeUploadExternal", Reply(body={"ok": False, "error": "invalid_blocks"}), "invalid_blocks"),
]


@pytest.mark.parametrize(("method", "reply", "said"), FILE_FAILURES)
def test_a_chart_that_fails_costs_the_message_nothing(method: str, reply: Reply, said: str, slack: SlackReceiver, message: Message) -> None:
    slack.replies = {method: [reply]}
    note = build_bot(slack).send(message)
    assert note is not None
    assert note.startswith("accepted, but without 1 of 1 charts")
    assert said in note
    assert slack.calls.count(POST) == 1


def test_an_oversized_chart_is_left_out_and_the_others_arrive(slack: SlackReceiver, many: Message) -> None:
    slack.replies = {"files.getUploadURLExternal": [Reply(body={"ok": False, "error": "file_upload_size_restricted"})]}
    note = build_bot(slack).send(many)
    assert note is not None
    assert note.startswith("accepted, but without 1 of 4 charts: slack: files.getUploadURLExternal answers file_upload_size_restricted")
    assert [len(thread["files"]) for thread in slack.threads] == [3]


def test_charts_that_hang_hold_up_nothing_beyond_their_own_time(slack: SlackReceiver, many: Message) -> None:
    slack.replies = {"upload": [Reply(pause=True)]}
    note = build_bot(slack, timeout_seconds=1).send(many)
    assert note is not None
    assert "without 4 of 4 charts" in note
    assert len(slack.messages) == 1


def test_a_server_that_says_nothing_is_left_after_the_time_limit(message: Message) -> None:
    with run_silent_server() as port, pytest.raises(RetryableDeliveryError, match="may have arrived"):
        build_bot(SlackReceiver(port=port), timeout_seconds=0.2).send(message)


def test_a_server_that_is_gone_got_nothing(message: Message) -> None:
    with pytest.raises(RetryableDeliveryError, match=r"127\.0\.0\.1 cannot be reached"):
        build_bot(SlackReceiver(port=find_free_port())).send(message)


@pytest.mark.parametrize("pad", ["", "x" * 295])
@pytest.mark.parametrize("kind", ["bot", "hook"])
def test_a_secret_that_the_server_repeats_is_shown_nowhere(
    kind: str, pad: str, slack: SlackReceiver, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    said = f"{pad}{TOKEN} {HOOK_PATH} {slack.webhook_url}"
    slack.replies = {POST: [Reply(400, said)], "webhook": [Reply(400, said)]}
    channel = {"bot": build_bot, "hook": build_hook}[kind](slack)
    with caplog.at_level(logging.DEBUG), pytest.raises(RefusedDeliveryError) as caught:
        channel.send(message)
    secret = {"bot": TOKEN, "hook": HOOK_PATH.rpartition("/")[2]}[kind]
    shown = f"{caught.value!r}{channel!r}{channel}{caplog.text}{caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert secret not in shown
    assert secret[:5] not in shown


WRONG: list[tuple[dict[str, str], str]] = [
    ({}, "give either token .with channel. or webhook_url.*ANOMFLOW_SLACK_TOKEN"),
    ({"TOKEN": TOKEN}, "a token needs channel"),
    ({"TOKEN": TOKEN, "CHANNEL": "#a", "WEBHOOK_URL": "https://hooks.slack.com/x"}, "give either token"),
    ({"WEBHOOK_URL": TOKEN}, "webhook_url is no address"),
    ({"TOKEN": TOKEN, "CHANNEL": "#a", "TIMEOUT_SECONDS": "0"}, "ANOMFLOW_SLACK_TIMEOUT_SECONDS: Input should be greater than 0"),
    ({"TOKEN": TOKEN, "CHANNEL": "#a", "BASE_URL": "slack.com"}, "ANOMFLOW_SLACK_BASE_URL"),
]


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_wrong_variables_are_named_without_what_they_hold(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        SlackNotifier.from_environment({f"ANOMFLOW_SLACK_{name}": value for name, value in given.items()})
    assert TOKEN not in f"{caught.value!r}"


def test_wrong_fields_do_not_quote_the_token() -> None:
    with pytest.raises(ValidationError) as caught:
        SlackNotifier(token=TOKEN, channel="#a", timeout_seconds=0)  # type: ignore[arg-type]
    assert TOKEN not in str(caught.value)


def test_variables_make_a_channel() -> None:
    channel = SlackNotifier.from_environment({"ANOMFLOW_SLACK_TOKEN": TOKEN, "ANOMFLOW_SLACK_CHANNEL": "#alerts", "OTHER": "x"})
    assert (channel.channel, channel.base_url, channel.send_seconds) == ("#alerts", "https://slack.com/api/", 90)
