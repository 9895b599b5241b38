"""What every channel that posts to an address must do, whatever its service answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from http_channels import CASES, SECRET, HttpCase
from http_receiver import HttpReceiver, run_http
from mail_receiver import run_silent_server
from message_samples import MESSAGE_ID, make_alert, make_history, make_input, make_message
from pydantic import ValidationError
from slack_receiver import Reply

from anomflow.errors import DeliveryError, RefusedDeliveryError, RetryableDeliveryError, SettingsError
from anomflow.messages import build_message
from anomflow.protocols import Resolving
from tests.services.service import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.messages import Message

WITH_CHARTS = sorted(name for name, case in CASES.items() if case.shows_charts)


@pytest.fixture(scope="module")
def message() -> Message:
    return make_message()


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> HttpCase:
    return CASES[request.param]


@pytest.fixture
def receiver(case: HttpCase) -> Iterator[HttpReceiver]:
    with run_http(case.good) as running:
        yield running


def test_one_message_is_one_request_with_its_id(case: HttpCase, receiver: HttpReceiver, message: Message) -> None:
    assert case.build(receiver).send(message) is None
    (posted,) = receiver.tried
    assert MESSAGE_ID[:8] in f"{posted.headers}{posted.body!r}"
    assert posted.headers["user-agent"].startswith("Anomflow")


def test_a_repeat_carries_the_same_id(case: HttpCase, receiver: HttpReceiver, message: Message) -> None:
    receiver.replies = [Reply(500, "oops")]
    with pytest.raises(RetryableDeliveryError, match="500 oops"):
        case.build(receiver).send(message)
    case.build(receiver).send(message)
    first, second = receiver.tried
    assert MESSAGE_ID[:8] in first.text
    assert MESSAGE_ID[:8] in second.text


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final_and_says_what_to_check(status: int, case: HttpCase, receiver: HttpReceiver, message: Message) -> None:
    receiver.replies = [Reply(status, "no")]
    with pytest.raises(RefusedDeliveryError, match=rf"the answer is {status} no\. Check"):
        case.build(receiver).send(message)
    assert receiver.accepted == []


@pytest.mark.parametrize(("reply", "after"), [(Reply(429, "slow", {"Retry-After": "77"}), 77.0), (Reply(503, ""), None)])
def test_an_overloaded_service_is_tried_again_when_it_asks(
    reply: Reply, after: float | None, case: HttpCase, receiver: HttpReceiver, message: Message
) -> None:
    receiver.replies = [reply]
    with pytest.raises(RetryableDeliveryError, match=str(reply.status)) as caught:
        case.build(receiver).send(message)
    assert caught.value.retry_after == after


def test_after_a_time_out_nobody_knows_whether_it_arrived(case: HttpCase, message: Message) -> None:
    with run_silent_server() as port, pytest.raises(RetryableDeliveryError, match="may have arrived"):
        case.build(HttpReceiver(case.good, port=port), timeout_seconds=0.2).send(message)


def test_a_service_that_is_gone_is_tried_again(case: HttpCase, message: Message) -> None:
    with pytest.raises(RetryableDeliveryError, match=r"127\.0\.0\.1 cannot be reached"):
        case.build(HttpReceiver(case.good, port=find_free_port())).send(message)


@pytest.mark.parametrize("name", WITH_CHARTS)
def test_a_chart_that_is_too_large_costs_the_message_nothing(name: str, message: Message) -> None:
    with run_http(CASES[name].good) as receiver:
        receiver.largest = 9000
        note = CASES[name].build(receiver).send(message)
        assert note is not None
        assert note.startswith("accepted, but without its charts")
        assert [len(posted.body) < 9000 for posted in receiver.accepted] == [True]
        assert "about 1 in 30,000 points" in receiver.accepted[0].text


@pytest.mark.parametrize("pad", ["", "x" * 290])
def test_a_secret_is_shown_nowhere(
    pad: str, case: HttpCase, receiver: HttpReceiver, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.replies = [Reply(403, f"{pad}{SECRET}")]
    channel = case.build(receiver)
    with caplog.at_level(logging.DEBUG), pytest.raises(RefusedDeliveryError) as caught:
        channel.send(message)
    shown = f"{caught.value!r}{channel!r}{channel}{caplog.text}{caught.value.__cause__!r}"
    assert SECRET[:6] not in shown


def test_a_wrong_field_does_not_quote_the_secrets(case: HttpCase) -> None:
    with pytest.raises(ValidationError) as caught:
        case.build(HttpReceiver(case.good), timeout_seconds=0)
    assert SECRET not in str(caught.value)


def test_variables_make_the_same_channel(case: HttpCase, receiver: HttpReceiver) -> None:
    environ = {f"ANOMFLOW_{case.cls.kind.upper()}_{name.upper()}": str(value) for name, value in case.build_settings(receiver.url).items()}
    assert case.cls.from_environment(environ).model_dump() == case.build(receiver, timeout_seconds=30).model_dump()


def test_what_is_missing_is_named(case: HttpCase) -> None:
    with pytest.raises(SettingsError, match=rf"the channel {case.cls.kind} needs ANOMFLOW_{case.cls.kind.upper()}_") as caught:
        case.cls.from_environment({})
    assert f"{case.cls.kind}/<block-name>" in str(caught.value)


def find_addresses(case: HttpCase) -> list[str]:
    return [name for name in case.build_settings("http://127.0.0.1") if name.endswith("url")]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hooks.example.com/0123456789", "not encrypted"),
        ("hooks.example.com/0123456789", "no address"),
        ("https://user:pa55word@hooks.example.com/", "user or password"),
        ("https://[::1/0123456789", "no address"),
        ("https://hooks.example.com/a\nb", "no address"),
    ],
)
def test_an_address_is_encrypted_or_near(url: str, said: str, case: HttpCase) -> None:
    name = find_addresses(case)[0]
    with pytest.raises(ValidationError, match=said) as caught:
        case.build(HttpReceiver(case.good), **{name: url})
    assert url not in str(caught.value)


@pytest.mark.parametrize("url", ["https://hooks.example.com/x", "http://10.1.2.3:8065/x", "http://gateway/x", "http://gateway.local/x"])
def test_a_near_address_needs_no_encryption(url: str, case: HttpCase) -> None:
    assert case.build(HttpReceiver(case.good), **{find_addresses(case)[0]: url}).send_seconds == 40


RESOLVING = ("opsgenie", "pagerduty")


def test_the_channels_that_open_incidents_resolve_them_and_no_other_does() -> None:
    built = {name: case.build(HttpReceiver(case.good)) for name, case in CASES.items()}
    assert tuple(sorted(name for name, channel in built.items() if isinstance(channel, Resolving) and channel.resolve)) == RESOLVING


@pytest.mark.parametrize("name", RESOLVING)
def test_a_resolution_carries_the_id_of_its_message_and_is_answered_as_a_message(
    name: str, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers: list[tuple[Reply, type[DeliveryError], str]] = [
        (Reply(429, "", {"Retry-After": "77"}), RetryableDeliveryError, "429"),
        (Reply(500, f"oops {SECRET}"), RetryableDeliveryError, "500 oops"),
        (Reply(200, "<html>Log in</html>"), RetryableDeliveryError, "answer is none of"),
        (Reply(403, f"no {SECRET}"), RefusedDeliveryError, "Check the"),
    ]
    with run_http(CASES[name].good) as receiver:
        channel = CASES[name].build(receiver)
        for reply, error, said in answers:
            receiver.replies = [reply]
            with pytest.raises(error, match=said) as caught:
                channel.send_resolution(MESSAGE_ID)
            assert SECRET not in f"{caught.value!r}{caplog.text}"
        channel.send(message)
        channel.send_resolution(MESSAGE_ID)
        opened, ended = receiver.accepted
    assert MESSAGE_ID in opened.text
    assert MESSAGE_ID in f"{ended.path} {ended.text}"
    assert ended.text != opened.text


@pytest.mark.parametrize("name", RESOLVING)
def test_after_a_time_out_nobody_knows_whether_an_end_arrived(name: str) -> None:
    case = CASES[name]
    with run_silent_server() as port, pytest.raises(RetryableDeliveryError, match="may have arrived"):
        case.build(HttpReceiver(case.good, port=port), timeout_seconds=0.2).send_resolution(MESSAGE_ID)


NO_NUMBERS = dict.fromkeys(("metric_value", "expected_low", "expected_high", "surprise"))
KINDS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "threshold", "expected_low": None, "expected_high": 3.0}, "is above its threshold (3.2, at most 3 allowed)"),
    ({"kind": "change"}, "has changed (3.2, expected 10 to 14)"),
    ({"kind": "flatline"}, "stays at 3.2"),
    ({"kind": "freshness", **NO_NUMBERS}, "is overdue: no new value"),
]


@pytest.mark.parametrize(("changes", "said"), KINDS, ids=[str(changes["kind"]) for changes, _ in KINDS])
def test_each_kind_of_alert_is_told(changes: dict[str, Any], said: str, case: HttpCase, receiver: HttpReceiver) -> None:
    case.build(receiver).send(build_message(make_input(make_alert(**changes))))
    (posted,) = receiver.accepted
    assert said in posted.text.replace("\\\\", "")


@pytest.fixture(scope="module")
def long() -> Message:
    """A message of more metrics and words than any channel shows."""
    names = [f"metric{number:03}" + "x" * 50 for number in range(130)]
    alerts = [make_alert(metric_name=name, reason="r" * 400) for name in names]
    return build_message(make_input(*alerts, histories={names[0]: make_history(30)}))


def test_of_many_metrics_the_first_are_told_and_the_rest_is_counted(case: HttpCase, receiver: HttpReceiver, long: Message) -> None:
    case.build(receiver).send(long)
    (posted,) = receiver.accepted
    assert "metric000" in posted.text
    assert " more" in posted.text
