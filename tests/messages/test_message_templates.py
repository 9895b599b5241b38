"""A batch's own templates: used, refused with file and line, and never at the cost of an alert."""

from __future__ import annotations

import pytest
from message_samples import HOSTILE, make_alert, make_input, make_message

from anomflow.alert_words import KINDS
from anomflow.errors import SqlError
from anomflow.letters import Letter
from anomflow.message_templates import PARTS, Drafted, OwnTemplates, find_failures, render_part
from anomflow.messages import SUBJECT_LIMIT, Message, build_message
from anomflow.sample_letters import build_samples
from anomflow.sql import Template

LETTER: Letter = make_message().letter


def own(**parts: str) -> OwnTemplates:
    by_part = {part: Template(text, "metrics/shop/shop.yaml", 12) for part, text in parts.items()}
    return OwnTemplates(by_part, {"runbook": "https://wiki.example.com/orders"})


def build(**parts: str) -> Message:
    return build_message(make_input(own=own(**parts)))


def draft(part: str, text: str) -> str:
    return render_part(own(**{part: text}), part, Drafted(LETTER, "id-1", {"subject": "S", "text": "T"}))


@pytest.mark.parametrize(
    ("part", "text", "expected"),
    [
        (
            "subject",
            "{{ letter.batch | upper }}: {{ letter.entries[0].lead.headline }}",
            "CHECKOUT: orders is low (3.2, expected 10 to 14)",
        ),
        ("subject", "{{ default }} [{{ vars.runbook }}]", "S [https://wiki.example.com/orders]"),
        ("text", "{{ default }}\nRunbook: {{ vars.runbook }}", "T\nRunbook: https://wiki.example.com/orders"),
        ("text", "{% for entry in letter.entries %}\n{{ entry.lead.value }} < {{ entry.lead.expected }}\n{% endfor %}", "3.2 < 10 to 14\n"),
        ("text", "{{ message_id }}", "id-1"),
        ("html", "<p>{{ letter.entries[0].lead.tags | join }}</p>", "<p>team=payments</p>"),
    ],
)
def test_a_template_says_what_it_is_written_to_say(part: str, text: str, expected: str) -> None:
    assert draft(part, text) == expected


def test_html_may_extend_the_shipped_template() -> None:
    page = draft("html", '{% extends "anomflow/message.html" %}{% block footer %}<p>Call {{ vars.runbook }}</p>{% endblock %}')
    assert "orders is low" in page
    assert "<p>Call https://wiki.example.com/orders</p>" in page
    assert "Written by Anomflow" not in page
    assert "prefers-color-scheme" in page


def test_parts_without_a_template_stay_as_they_are() -> None:
    message, usual = build(subject="mine"), build_message(make_input())
    assert (message.subject, message.text, message.html) == ("mine", usual.text, usual.html)


def test_values_are_escaped_in_html_and_clean_in_a_subject() -> None:
    source = make_input(make_alert(metric_name=HOSTILE), own=own(html="{{ letter.title }}", subject="{{ letter.title }}\nBcc: x"))
    message = build_message(source)
    assert "<script>" not in message.html
    assert message.subject.isprintable()


def test_a_long_subject_is_cut() -> None:
    assert len(build(subject="x" * 900).subject) == SUBJECT_LIMIT


WRONG = {
    "{{ letter.entries[0].lead.valeu }}": "no attribute 'valeu'",
    "{{ runbook }}": "'runbook' is undefined. Defined: default, letter, message_id, vars",
    "{% if %}": "Expected an expression",
    "{{ letter.__class__.__mro__ }}": "unsafe",
    "{{ 1 / 0 }}": "ZeroDivisionError",
    "{% include 'no/such.txt' %}": "there is no such file",
    "   ": "renders to nothing",
    "{% for a in range(90000) %}0123456789{% endfor %}": "renders to 900,000 characters; allowed are",
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_with_file_and_line(text: str, part: str) -> None:
    failures = list(find_failures(own(**{part: f"a\n{text}" if text.strip() and "range" not in text else text}), build_samples("shop")))
    assert [found for found, _ in failures] == [part]
    (_, error) = failures[0]
    assert WRONG[text].replace("default, ", "" if part == "html" else "default, ") in str(error)
    assert str(error).startswith("metrics/shop/shop.yaml:1")


@pytest.mark.parametrize(
    "text",
    ["{{ letter.entries[0].lead.expected.upper() }}", "{{ letter.entries[0].image.name }}", "{{ letter.entries[0].others[0].time }}"],
)
def test_what_some_messages_do_not_have_is_found_with_a_sample(text: str) -> None:
    ((_, error),) = find_failures(own(text=text), build_samples("shop"))
    assert "with a sample message: freshness without numbers" in str(error)


@pytest.mark.parametrize("part", PARTS)
def test_a_template_that_fails_with_an_alert_gives_way_to_the_default_and_is_named(part: str, caplog: pytest.LogCaptureFixture) -> None:
    message, usual = build(**{part: "{{ 1 // (0 if 'orders' in letter.title else 1) }}"}), build_message(make_input())
    assert message.subject == usual.subject
    said = f"The batch's alert_message_{part} could not be used, this is the default one: metrics/shop/shop.yaml:12: ZeroDivisionError"
    assert said in message.text
    assert "could not be used" in message.html
    assert said in caplog.text
    assert "orders is low" in message.text


def test_a_template_that_would_never_end_is_stopped() -> None:
    with pytest.raises(SqlError, match="Range too big"):
        draft("text", "{% for a in range(10 ** 9) %}x{% endfor %}")


def test_samples_are_messages_of_every_kind() -> None:
    samples = build_samples("shop")
    usual = own(text="{{ default }}", subject="{{ default }}", html='{% extends "anomflow/message.html" %}')
    assert list(find_failures(usual, samples)) == []
    assert len(samples) == len(KINDS) + 2
