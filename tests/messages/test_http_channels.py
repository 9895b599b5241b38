"""What each channel that posts to an address makes of a message, read as its service would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from http_channels import CASES, SECRET
from http_receiver import HttpReceiver, Posted, run_http
from hypothesis import given
from hypothesis import strategies as st
from message_samples import MESSAGE_ID, MOMENT, make_alert, make_history, make_input, make_message
from PIL import Image
from pydantic import ValidationError
from slack_receiver import Reply

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError
from anomflow.markdown_text import cut_escaped, escape_for_discord, escape_for_mattermost
from anomflow.messages import build_message
from anomflow.teams_card import SIZE_LIMIT
from blocks.notifiers import discord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anomflow.messages import Message

MENTION = "@everyone <!channel> <at>all</at> <@1> **b** [x](https://evil.test) <https://evil.test|x> `c` # h"


@pytest.fixture(scope="module")
def message() -> Message:
    return make_message()


@pytest.fixture(scope="module")
def mention() -> Message:
    return build_message(make_input(make_alert(metric_name=MENTION, reason=MENTION, tags=json.dumps({"t": MENTION}))))


@contextmanager
def serve(name: str, *replies: Reply) -> Iterator[HttpReceiver]:
    with run_http(CASES[name].good) as receiver:
        receiver.replies = list(replies)
        yield receiver


def post(name: str, message: Message, **changes: Any) -> Posted:
    """Send a message and return what came out."""
    with serve(name) as receiver:
        assert CASES[name].build(receiver, **changes).send(message) is None
        (posted,) = receiver.accepted
        return posted


def list_elements(posted: Posted) -> list[dict[str, Any]]:
    return list(posted.content["attachments"][0]["content"]["body"])


def test_teams_shows_a_card_with_the_chart(message: Message) -> None:
    posted = post("teams", message)
    attachment = posted.content["attachments"][0]
    assert (posted.content["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    elements = list_elements(posted)
    assert elements[0]["inlines"][0]["text"] == "Anomaly: orders is low (3.2, expected 10 to 14)"
    (chart,) = [element for element in elements if element["type"] == "Image"]
    with Image.open(io.BytesIO(base64.b64decode(chart["url"].removeprefix("data:image/png;base64,")))) as picture:
        assert picture.width >= 300
    assert len(posted.body) <= SIZE_LIMIT
    assert posted.headers["content-type"] == "application/json; charset=utf-8"


def test_teams_gets_data_in_texts_without_markup_only(mention: Message) -> None:
    elements = list_elements(post("teams", mention))
    assert {element["type"] for element in elements} == {"RichTextBlock"}
    assert f"t={MENTION}"[:100] in [run["text"] for element in elements for run in element["inlines"]]


@pytest.mark.parametrize(("status", "error"), [(429, RetryableDeliveryError), (500, RetryableDeliveryError), (403, RefusedDeliveryError)])
def test_a_failure_that_teams_calls_a_success_is_a_failure(status: int, error: type[Exception], message: Message) -> None:
    said = f"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} with ContextId x"
    with serve("teams", Reply(200, said)) as receiver, pytest.raises(error, match=f"the answer is {status}"):
        CASES["teams"].build(receiver).send(message)


def test_teams_gets_the_text_where_a_connector_calls_the_card_too_large(message: Message) -> None:
    said = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId x"
    with serve("teams", Reply(200, said)) as receiver:
        assert "without its charts" in str(CASES["teams"].build(receiver).send(message))
        assert {element["type"] for element in list_elements(receiver.accepted[0])} == {"RichTextBlock"}


def test_pagerduty_triggers_an_incident_under_the_message_id(message: Message) -> None:
    posted = post("pagerduty", message)
    event = posted.content
    payload = event.pop("payload")
    assert posted.path == "/v2/enqueue"
    assert event == {"routing_key": SECRET, "event_action": "trigger", "dedup_key": MESSAGE_ID, "client": "Anomflow"}
    assert payload["summary"] == "checkout: orders is low (3.2, expected 10 to 14)"
    assert (payload["source"], payload["component"], payload["class"], payload["severity"]) == ("checkout", "orders", "anomaly", "error")
    assert payload["timestamp"] == MOMENT.isoformat()
    assert payload["custom_details"]["How rare"] == "about 1 in 30,000 points"
    assert payload["custom_details"]["Explain it"] == "anomflow explain checkout orders 2026-11-20T10:00:00Z"


def test_pagerduty_resolves_the_incident_under_the_same_key() -> None:
    with serve("pagerduty") as receiver:
        CASES["pagerduty"].build(receiver).send_resolution(MESSAGE_ID)
        (posted,) = receiver.accepted
    assert posted.path == "/v2/enqueue"
    assert posted.content == {"routing_key": SECRET, "event_action": "resolve", "dedup_key": MESSAGE_ID}


def test_opsgenie_closes_the_alert_by_its_alias() -> None:
    with serve("opsgenie") as receiver:
        CASES["opsgenie"].build(receiver).send_resolution(MESSAGE_ID)
        (posted,) = receiver.accepted
    assert posted.path == f"/v2/alerts/{MESSAGE_ID}/close?identifierType=alias"
    assert posted.headers["authorization"] == f"GenieKey {SECRET}"


def test_what_is_only_told_wakes_nobody() -> None:
    told = build_message(make_input(make_alert(kind="info")))
    assert post("pagerduty", told).content["payload"]["severity"] == "info"
    assert post("opsgenie", told).content["priority"] == "P5"


def test_opsgenie_creates_an_alert_under_the_message_id(message: Message) -> None:
    posted = post("opsgenie", message, priority="P2")
    alert = posted.content
    assert (posted.path, posted.headers["authorization"]) == ("/v2/alerts", f"GenieKey {SECRET}")
    assert (alert["alias"], alert["priority"], alert["entity"], alert["tags"]) == (MESSAGE_ID, "P2", "checkout", ["team=payments"])
    assert alert["message"] == "checkout: orders is low (3.2, expected 10 to 14)"
    assert "about 1 in 30,000 points" in alert["description"]


@pytest.mark.parametrize("name", ["pagerduty", "opsgenie", "discord", "mattermost"])
def test_an_answer_of_something_that_stands_between_is_no_acceptance(name: str, message: Message) -> None:
    with serve(name, Reply(200, "<html>Log in</html>")) as receiver, pytest.raises(RetryableDeliveryError, match="answer is none of"):
        CASES[name].build(receiver).send(message)


def test_discord_shows_the_chart_inside_and_waits_for_the_answer(message: Message) -> None:
    posted = post("discord", message)
    (embed,) = posted.content["embeds"]
    assert posted.path.endswith("?wait=true")
    assert posted.files["files[0]"] == message.images[0].png
    assert embed["image"]["url"] == "attachment://chart-1.png"
    assert embed["title"] == r"Anomaly: orders is low \(3.2, expected 10 to 14\)"
    assert "**How rare:** about 1 in 30,000 points" in embed["description"]


def test_discord_mentions_nobody_and_shows_markup_as_it_is(mention: Message) -> None:
    content = post("discord", mention).content
    assert content["allowed_mentions"] == {"parse": []}
    assert r"**Why:** \@everyone \<!channel\> \<at\>all\</at\> \<\@1\> \*\*b\*\* \[x\]\(https:" in content["embeds"][0]["description"]


@pytest.mark.parametrize("count", [2, 10, 130])
def test_discord_s_limits_hold_for_hostile_names(count: int) -> None:
    names = [f"{number:03}" + "*<" * 80 for number in range(count)]
    alerts = [make_alert(metric_name=name, reason="_" * 600, tags=json.dumps({"*" * 90: "~" * 90})) for name in names]
    embeds = post("discord", build_message(make_input(*alerts))).content["embeds"]
    assert discord.count_characters(embeds) <= 6000
    assert max(len(embed["description"]) for embed in embeds) <= 4096
    assert max(len(embed.get("title", "")) for embed in embeds) <= 256


def test_a_thread_of_discord_stays_named(message: Message) -> None:
    with serve("discord") as receiver:
        CASES["discord"].build(receiver, webhook_url=f"{receiver.url}/api/webhooks/1/{SECRET}?thread_id=77").send(message)
        assert receiver.accepted[0].path.endswith("?thread_id=77&wait=true")


def test_mattermost_gets_an_attachment_a_metric(message: Message) -> None:
    content = post("mattermost", message, channel="alerts").content
    metric, rest = content["attachments"]
    assert (content["channel"], content["text"]) == ("alerts", r"**Anomaly: orders is low \(3.2, expected 10 to 14\)**")
    assert metric["color"] == "#B03A00"
    assert "```\n" in metric["text"]
    assert "anomflow explain checkout orders" in rest["text"]


def test_mattermost_mentions_nobody(mention: Message) -> None:
    text = post("mattermost", mention).text
    assert [sign for sign in ("@everyone", "@1", "<", "**b**", "[x]", "`c`") if sign in text] == []
    assert r"**Why:** @\u200beveryone &lt;!channel&gt;".replace("\\u200b", "\u200b") in text


@pytest.mark.parametrize("escape", [escape_for_discord, escape_for_mattermost])
@given(text=st.text(st.sampled_from("ab1.-+ *_\\<>@&[]()"), max_size=40), limit=st.integers(8, 40))
def test_what_is_cut_is_short_and_ends_no_escape_early(escape: Callable[[str], str], text: str, limit: int) -> None:
    cut = cut_escaped(text, limit, escape)
    assert len(cut) <= limit
    assert (len(cut) - len(cut.rstrip("\\"))) % 2 == 0


@pytest.mark.parametrize(
    ("text", "escaped"), [("3.2", "3.2"), ("3. x", "3\\. x"), ("- x", "\\- x"), ("-5", "-5"), ("# x", "\\# x"), ("a_b", "a\\_b")]
)
def test_a_line_starts_no_list(text: str, escaped: str) -> None:
    assert escape_for_discord(text) == escape_for_mattermost(text) == escaped


def read_signature(posted: Posted, key: bytes) -> str:
    """Sign what came as a receiver does."""
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("secret", "key"), [(SECRET, SECRET.encode()), ("whsec_" + base64.b64encode(b"k" * 24).decode(), b"k" * 24)], ids=["text", "whsec"]
)
def test_a_webhook_is_signed_over_its_id_time_and_body(secret: str, key: bytes, message: Message) -> None:
    posted = post("webhook", message, secret=secret)
    assert posted.headers["webhook-signature"] == read_signature(posted, key)
    assert posted.headers["webhook-id"] == posted.headers["idempotency-key"] == MESSAGE_ID
    assert posted.headers["authorization"] == f"Bearer {SECRET}"


def test_a_webhook_holds_all_that_is_known(message: Message) -> None:
    content = post("webhook", message).content
    assert list(content) == ["id", "batch", "created", "subject", "text", "alerts", "alerts_total", "charts"]
    assert content["alerts"][0]["headline"] == "orders is low (3.2, expected 10 to 14)"
    assert base64.b64decode(content["charts"][0]["png"]) == message.images[0].png
    assert post("webhook", message, charts=False).content["charts"] == []


def test_a_webhook_without_a_secret_is_not_signed(message: Message) -> None:
    headers = post("webhook", message, secret=None, token=None).headers
    assert {"webhook-signature", "authorization"} & set(headers) == set()


def test_a_template_places_values_as_json() -> None:
    name = '"}, {"x": "{{ 7 * 7 }}\\'
    template = '{"text": {{ subject }}, "names": [{{ alerts[0].metric_name }}], "id": {{ id | tojson }}}'
    content = post("webhook", build_message(make_input(make_alert(metric_name=name))), template=template).content
    assert content["names"] == [name]
    assert (sorted(content), content["id"]) == (["id", "names", "text"], MESSAGE_ID)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"template": '{"text": "{{ subject }}"}'}, "makes no JSON"),
        ({"template": "{{ nothing }}"}, "'nothing' is undefined"),
        ({"template": "{{ alerts[0].metric_value | round }}"}, "cannot be rendered"),  # of a metric that is overdue there is none
        ({"template": "{% if %}"}, "cannot be rendered"),
        ({"template": "{{ subject.__class__.__mro__ }}"}, "cannot be rendered"),
        ({"secret": "short"}, "too short"),
        ({"secret": "whsec_***"}, "no Base64"),
        ({"token": "a\r\nX-Other: 1"}, "no key has"),
        ({"token_header": "Host"}, "has a meaning already"),
        ({"token_header": "X-A: b\r\nX-C"}, "token_header"),
    ],
)
def test_a_webhook_that_cannot_work_is_not_built(changes: dict[str, Any], said: str) -> None:
    case = CASES["webhook"]
    with pytest.raises(ValidationError, match=said):
        case.build(HttpReceiver(case.good), **changes)


def test_a_template_that_fails_on_real_alerts_is_refused_and_says_so(message: Message) -> None:
    template = "{% if alerts[0].metric_name == 'orders' %}{{ nothing }}{% endif %}{}"
    with serve("webhook") as receiver, pytest.raises(RefusedDeliveryError, match=r"cannot be rendered.*Correct the template"):
        CASES["webhook"].build(receiver, template=template).send(message)


def test_several_metrics_have_a_part_each() -> None:
    alerts = [make_alert(metric_name=name) for name in ("a", "b")]
    several = build_message(make_input(*alerts, histories={name: make_history(30) for name in ("a", "b")}))
    assert [embed["image"]["url"] for embed in post("discord", several).content["embeds"]] == [
        "attachment://chart-1.png",
        "attachment://chart-2.png",
    ]
    assert post("mattermost", several).content["text"].startswith("**2 metrics of checkout alert: ")
    assert "Anomaly: b is low (3.2, expected 10 to 14)" in post("pagerduty", several).content["payload"]["custom_details"]
