"""Every text of a mail can be read, in light and in dark: contrast as WCAG 2.1 computes it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple

import pytest
from message_samples import make_alert, make_history, make_input

from anomflow.alert_words import KINDS
from anomflow.messages import build_message

ENOUGH = 4.5
VOID = {"meta", "img", "br", "link"}


class Look(NamedTuple):
    ink: str
    ground: str


def find_rules(html: str) -> dict[str, dict[str, str]]:
    """Return what the dark scheme sets, property by property, by class."""
    (dark,) = re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\}", html, re.DOTALL)
    return {name: dict(re.findall(r"([\w-]+): (#\w{6}) !important", body)) for name, body in re.findall(r"\.(\w+) \{([^}]*)\}", dark)}


class Reader(HTMLParser):
    """Collect the colours of each text of a page, in a scheme given by its rules."""

    def __init__(self, rules: dict[str, dict[str, str]]) -> None:
        super().__init__()
        self.rules = rules
        self.looks = [Look("#000000", "#ffffff")]
        self.seen: dict[Look, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        given = dict(attrs)
        style = dict(re.findall(r"(?:^|;)\s*([\w-]+):\s*(#\w{6})", given.get("style") or ""))
        for name in (given.get("class") or "").split():
            style |= self.rules.get(name, {})
        last = self.looks[-1]
        self.looks.append(Look(style.get("color", last.ink), style.get("background-color", last.ground)))

    def handle_endtag(self, _tag: str) -> None:
        self.looks.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and self.lasttag not in {"style", "title"}:
            self.seen.setdefault(self.looks[-1], data.strip())


def measure_contrast(look: Look) -> float:
    light, dark = sorted((measure_luminance(colour) for colour in look), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def measure_luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def build_pages() -> dict[str, str]:
    alerts = [make_alert(kind=kind, surprise=9.0 - number) for number, kind in enumerate((*KINDS, "unheard of"))]
    apart = [{**alert, "metric_name": f"metric {number}"} for number, alert in enumerate(alerts)]
    histories = {"orders": make_history(30)}
    return {
        "single": build_message(make_input(*alerts[:5], histories=histories)).html,
        "rest": build_message(make_input(*alerts[5:], histories=histories)).html,
        "several": build_message(make_input(*apart, histories=histories, max_metrics=7)).html,
    }


PAGES = build_pages()


def read_page(page: str, scheme: str) -> Reader:
    reader = Reader(find_rules(PAGES[page]) if scheme == "dark" else {})
    reader.feed(PAGES[page])
    return reader


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_every_text_stands_out_from_its_ground(page: str, scheme: str) -> None:
    seen = read_page(page, scheme).seen
    assert len(seen) >= 4
    assert {look: text for look, text in seen.items() if measure_contrast(look) < ENOUGH} == {}


@pytest.mark.parametrize("page", PAGES)
def test_dark_is_dark(page: str) -> None:
    grounds = {look.ground for look in read_page(page, "dark").seen}
    badges = {colour.lower() for _, colour, _ in KINDS.values()} | {"#333333"}
    assert max(measure_luminance(ground) for ground in grounds if ground.lower() not in badges) < 0.05


@pytest.mark.parametrize("page", PAGES)
def test_charts_bring_a_light_ground_of_their_own(page: str) -> None:
    images = re.findall(r"<img[^>]*>", PAGES[page])
    assert [image for image in images if "background-color:#ffffff" not in image] == []


def test_the_page_tells_mail_programs_of_both_schemes() -> None:
    assert '<meta name="color-scheme" content="light dark">' in PAGES["single"]
    assert '<meta name="supported-color-schemes" content="light dark">' in PAGES["single"]


def test_kinds_differ_by_word_colour_and_shape() -> None:
    assert [len(set(column)) for column in zip(*KINDS.values(), strict=True)] == [len(KINDS)] * 3
