"""What Slack shows: within its limits, literal whatever the data says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_samples import HOSTILE, MESSAGE_ID, make_alert, make_history, make_hostile_message, make_input, make_message

from anomflow.alert_words import KINDS
from anomflow.letters import NARROW
from anomflow.messages import Message, build_message
from anomflow.slack_text import HEADER_LIMIT, SIZE_LIMIT, SlackContent, find_texts, render_slack

MARKUP = "<!here> <@U012> <http://evil.test|click> @channel *bold* _it_ `code` ~no~ :fire: &lt;"


def render(message: Message) -> SlackContent:
    return render_slack(message.letter, MESSAGE_ID)


def find_parts(part: object) -> Iterator[dict[str, Any]]:
    """Yield every mapping inside blocks."""
    if isinstance(part, dict):
        yield part
    values = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for value in values:
        yield from find_parts(value)


def read_lines(content: SlackContent) -> str:
    """Return the text of all attachments as a reader sees it."""
    return "\n".join("".join(find_texts(attachment)) for attachment in content.attachments)


def build_many(count: int, **changes: Any) -> Message:
    alerts = [make_alert(metric_name=f"metric {number:02}", **changes) for number in range(count)]
    return build_message(make_input(*alerts, histories={"metric 00": make_history(30)}))


def test_one_metric_is_told_line_by_line() -> None:
    content = render(make_message())
    assert content.blocks[0]["text"]["text"] == "Anomaly: orders is low (3.2, expected 10 to 14)"
    shown = read_lines(content).splitlines()
    said = [
        "Value: 3.2",
        "Expected: 10 to 14",
        "Difference: 6.8 (68 %) below the expected range",
        "How rare: about 1 in 30,000 points",
        "When: 2026-11-20 10:00 UTC, 1 h 12 min before this message",
        "Why: lower than at this hour of other days",
    ]
    assert shown[: len(said)] == said
    assert shown[len(said)].startswith("Tags: team=payments")


def test_the_command_stands_in_fixed_width() -> None:
    fixed = [part for part in find_parts(render(make_message()).attachments) if part.get("type") == "rich_text_preformatted"]
    assert "anomflow explain checkout orders 2026-11-20T10:00:00Z" in list(find_texts(fixed))


def test_the_command_that_rejects_the_alert_stands_in_fixed_width_too() -> None:
    alert = make_alert(alert_id="3f2a9c1e-1a2b-5222-8333-444455556666")
    content = render(build_message(make_input(alert)))
    fixed = [part for part in find_parts(content.attachments) if part.get("type") == "rich_text_preformatted"]
    assert "anomflow feedback 3f2a9c1e down" in list(find_texts(fixed))


def test_the_sparkline_fits_a_phone() -> None:
    course, _command = [part for part in find_parts(render(make_message()).attachments) if part.get("type") == "rich_text_preformatted"]
    drawn, mark = next(find_texts(course)).splitlines()
    assert len(drawn) <= NARROW
    assert drawn[mark.index("^")] == "▁"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_word_and_the_colour_of_its_badge(kind: str) -> None:
    content = render(build_message(make_input(make_alert(kind=kind))))
    label, colour, _shape = KINDS[kind]
    assert content.blocks[0]["text"]["text"].lower().startswith(f"{label}: ")
    assert content.attachments[0]["color"] == colour


def test_several_metrics_are_a_list_and_the_rest_names() -> None:
    content = render(build_many(25))
    assert content.blocks[0]["text"]["text"].startswith("25 metrics of checkout alert: metric 00 is low")
    assert [attachment["color"] for attachment in content.attachments[:10]] == ["#B03A00"] * 10
    shown = read_lines(content)
    assert [number for number in range(25) if f"metric {number:02}" not in shown] == []
    assert "Explain the first one:" in shown


def test_several_alerts_of_a_metric_are_told() -> None:
    moments = [make_alert(kind=kind, surprise=9.0 - number) for number, kind in enumerate(KINDS)]
    shown = read_lines(render(build_message(make_input(*moments))))
    assert "Also" in shown
    assert "Change: orders has changed (3.2, expected 10 to 14), 2026-11-20 10:00 UTC" in shown


def test_what_has_no_numbers_is_told_without_them() -> None:
    bare = make_alert(kind="freshness", metric_value=None, expected_low=None, expected_high=None, surprise=None, reason=None, tags=None)
    shown = read_lines(render(build_message(make_input(bare))))
    assert [label for label in ("Value", "Expected", "Difference", "How rare", "Why", "Tags", "None") if label in shown] == []


def is_literal(part: dict[str, Any]) -> bool:
    """Tell whether a text of Slack is shown as it is: mrkdwn alone is not."""
    return part.get("type") != "mrkdwn" and part.get("emoji") is not True


@pytest.mark.parametrize("hostile", [HOSTILE, MARKUP, "```", "\n\n*x*", "<!channel>" * 30])
def test_no_text_of_the_data_becomes_markup(hostile: str) -> None:
    tags = json.dumps({hostile: hostile})
    alerts = [
        make_alert(metric_name=f"{hostile}{number}", reason=hostile, tags=tags, kind=kind) for number, kind in enumerate(("llm", hostile))
    ]
    for message in (build_message(make_input(alerts[0], metric_batch=hostile)), build_message(make_input(*alerts, metric_batch=hostile))):
        content = render(message)
        assert [part for part in find_parts([content.blocks, content.attachments]) if not is_literal(part)] == []
        everything = json.dumps([content.text, content.blocks, content.attachments], ensure_ascii=False)
        assert not {"<", ">", "\u202e", "\x00", "\x1b"} & set(everything)


def test_markup_is_shown_letter_by_letter() -> None:
    content = render(build_message(make_input(make_alert(reason=MARKUP))))
    escaped = "&lt;!here&gt; &lt;@U012&gt; &lt;http://evil.test|click&gt; @channel *bold* _it_ `code` ~no~ :fire: &amp;lt;"
    assert f"Why: {escaped}" in read_lines(content)


def count_blocks(content: SlackContent) -> int:
    return len(content.blocks) + sum(len(attachment["blocks"]) for attachment in content.attachments)


NAMES = st.text(min_size=1, max_size=120) | st.sampled_from(["&" * 200, "<" * 200, "x" * 300])


@given(names=st.lists(NAMES, min_size=1, max_size=30, unique=True), reason=NAMES, tag=NAMES)
def test_no_message_is_beyond_the_limits_of_slack(names: list[str], reason: str, tag: str) -> None:
    tags = json.dumps({f"{tag}{number}": tag for number in range(20)})
    alerts = [make_alert(metric_name=name, reason=reason * 20, tags=tags) for name in names]
    content = render(build_message(make_input(*alerts)))
    assert 1 <= len(content.blocks[0]["text"]["text"]) <= HEADER_LIMIT
    assert all(1 <= len(text) <= 3000 for text in find_texts([content.blocks, content.attachments]))
    assert content.size <= SIZE_LIMIT
    assert count_blocks(content) <= 50


def test_a_hostile_message_is_rendered() -> None:
    assert "&lt;script&gt;" in read_lines(render(make_hostile_message()))
