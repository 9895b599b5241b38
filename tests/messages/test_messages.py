from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from message_samples import HOSTILE, MESSAGE_ID, MOMENT, make_alert, make_history, make_hostile_message, make_input, make_message

from anomflow.letters import CHARTS, LISTED_NAMES
from anomflow.messages import SUBJECT_LIMIT, build_message
from anomflow.sparkline import BLOCKS

HEADLINES: dict[str, tuple[dict[str, Any], str]] = {
    "anomaly": ({}, "[anomflow] checkout: orders is low (3.2, expected 10 to 14) at 2026-11-20 10:00 UTC"),
    "anomaly above": ({"metric_value": 18.0}, "[anomflow] checkout: orders is high (18, expected 10 to 14) at 2026-11-20 10:00 UTC"),
    "anomaly inside": ({"metric_value": 12.0}, "[anomflow] checkout: orders looks unusual (12, expected 10 to 14) at 2026-11-20 10:00 UTC"),
    "threshold above": (
        {"kind": "threshold", "metric_value": 100.04, "expected_low": None, "expected_high": 100.0, "surprise": None},
        "[anomflow] checkout: threshold: orders is above its threshold (100.04, at most 100 allowed) at 2026-11-20 10:00 UTC",
    ),
    "threshold below": (
        {"kind": "threshold", "expected_high": None},
        "[anomflow] checkout: threshold: orders is below its threshold (3.2, at least 10 allowed) at 2026-11-20 10:00 UTC",
    ),
    "change": ({"kind": "change"}, "[anomflow] checkout: change: orders has changed (3.2, expected 10 to 14) at 2026-11-20 10:00 UTC"),
    "freshness": (
        {"kind": "freshness", "metric_value": None, "expected_low": None, "expected_high": None},
        "[anomflow] checkout: freshness: orders is overdue: no new value at 2026-11-20 10:00 UTC",
    ),
    "missing": (
        {"kind": "missing", "metric_value": None, "expected_low": None, "expected_high": None},
        "[anomflow] checkout: missing rows: orders has missing rows at 2026-11-20 10:00 UTC",
    ),
    "volume": (
        {"kind": "volume", "metric_name": "all metrics", "metric_value": 5.0, "expected_high": None},
        "[anomflow] checkout: volume: all metrics have dropped in number (5, expected at least 10) at 2026-11-20 10:00 UTC",
    ),
    "flatline": ({"kind": "flatline"}, "[anomflow] checkout: flat line: orders stays at 3.2 at 2026-11-20 10:00 UTC"),
    "llm": (
        {"kind": "llm", "expected_low": None, "expected_high": None},
        "[anomflow] checkout: language model: orders looks wrong to the language model (3.2) at 2026-11-20 10:00 UTC",
    ),
    "info": ({"kind": "info"}, "[anomflow] checkout: info: orders is at 3.2 at 2026-11-20 10:00 UTC"),
}


class Page(HTMLParser):
    """Collect the tags and the visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("case", HEADLINES)
def test_a_subject_says_what_and_when_for_each_kind(case: str) -> None:
    changes, subject = HEADLINES[case]
    assert build_message(make_input(make_alert(**changes))).subject == subject


def test_badges_tell_kinds_apart() -> None:
    kinds = ["anomaly", "threshold", "change", "freshness", "missing", "volume", "flatline", "llm", "info"]
    found = r'background-color:(#\w+);color:#ffffff[^>]*><span aria-hidden="true">([^<]+)</span>&nbsp;([^<]+)<'
    badges = {tuple(re.findall(found, build_message(make_input(make_alert(kind=kind))).html)) for kind in kinds}
    assert len(badges) == len(kinds)
    assert len({badge[0][0] for badge in badges}) == len(kinds)


def test_a_message_of_one_metric_says_everything() -> None:
    message = make_message()
    said = [
        "2026-11-20 10:00 UTC, 1 h 12 min before this message",
        "10 to 14",
        "6.8 (68 %) below the expected range",
        "about 1 in 30,000 points",
        "lower than at this hour of other days",
        "team=payments",
        "anomflow explain checkout orders 2026-11-20T10:00:00Z",
    ]
    page = Page(message.html)
    assert [fact for fact in said if fact not in message.text] == []
    assert [fact for fact in said if fact not in page.text] == []
    assert page.sources == ["cid:chart-1.png"]
    assert [image.name for image in message.images] == ["chart-1.png"]


def test_the_sparkline_points_at_the_alert() -> None:
    lines = make_message().text.splitlines()
    (drawn,) = [number for number, line in enumerate(lines) if set(line.strip()) & set(BLOCKS)]
    assert lines[drawn][lines[drawn + 1].index("^")] == "▁"


def test_several_metrics_give_a_table_five_charts_and_a_list() -> None:
    alerts = [make_alert(metric_name=f"metric {number:02}", surprise=20.0 - number) for number in range(12)]
    histories = {alert["metric_name"]: make_history(30) for alert in alerts}
    message = build_message(make_input(*alerts, histories=histories, max_metrics=8))
    page = Page(message.html)
    assert message.subject.startswith("[anomflow] checkout: 12 metrics (anomaly): metric 00 is low (3.2, expected 10 to 14) and 11 more")
    assert len(message.images) == CHARTS
    assert page.tags.count("img") == CHARTS
    assert len(message.facts) == 12
    for text in (page.text, message.text):
        assert [number for number in range(8) if f"metric {number:02} is low" not in text] == []
        assert "metric 08 is low" not in text
        assert [number for number in range(8, 12) if f"metric {number:02}" not in text] == []


def test_bounds_of_people_come_first_and_informations_last() -> None:
    alerts = [
        make_alert(metric_name="told", kind="info", surprise=8.0),
        make_alert(metric_name="rare", surprise=6.0),
        make_alert(metric_name="bound", kind="threshold", surprise=None),
        make_alert(metric_name="rarer", surprise=7.0),
    ]
    text = build_message(make_input(*alerts)).text
    order = [re.match(r"\w+", block) for block in text.split("\n\n")[1:5]]
    assert [found[0] for found in order if found] == ["bound", "rarer", "rare", "told"]


def test_several_alerts_of_a_metric_make_one_entry() -> None:
    alerts = [make_alert(metric_timestamp=MOMENT - timedelta(hours=number), surprise=9.0 - number) for number in range(9)]
    message = build_message(make_input(*alerts))
    assert message.subject.endswith("orders is low (3.2, expected 10 to 14) at 2026-11-20 10:00 UTC")
    assert "and 3 more of this metric" in message.text
    assert "and 3 more of this metric" in Page(message.html).text


def test_thousands_of_metrics_give_a_message_of_bounded_size() -> None:
    alerts = [
        make_alert(metric_name=f"{number} {'x' * 300}", reason="y" * 10_000, tags=json.dumps({"k": "v" * 10_000})) for number in range(3000)
    ]
    message = build_message(make_input(*alerts))
    assert len(message.subject) <= SUBJECT_LIMIT
    assert len(message.text) < 60_000
    assert len(message.html) < 90_000
    assert f"and {3000 - 20 - LISTED_NAMES} more" in message.text
    assert len(message.facts) == 3000


def test_hostile_text_is_shown_as_text_on_one_line() -> None:
    message = make_hostile_message()
    page = Page(message.html)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert page.sources == ["cid:chart-1.png"]
    assert message.subject.isprintable()
    assert not {"\u202e", "\x00", "\x1b", "\u2028", "\r"} & set(message.text + message.html)
    assert message.facts[0]["metric_name"] == HOSTILE


@pytest.mark.parametrize("tags", [None, "", "{}", "not json", "[1, 2]", '{"a": {"b": 1}}', "[" * 5000])
def test_tags_of_any_form_are_survived(tags: str | None) -> None:
    assert build_message(make_input(make_alert(tags=tags))).facts[0]["metric_name"] == "orders"


def test_facts_are_json_and_hold_the_names_of_the_ledger() -> None:
    alert = make_alert(metric_value=float("inf"), surprise=float("nan"))
    (fact,) = build_message(make_input(alert)).facts
    read_back = json.loads(json.dumps(fact, allow_nan=False))
    assert read_back["metric_timestamp"] == "2026-11-20T10:00:00+00:00"
    assert read_back["tags"] == {"team": "payments"}
    assert (read_back["metric_value"], read_back["surprise"]) == ("inf", None)
    assert read_back["explain"] == "anomflow explain checkout orders 2026-11-20T10:00:00Z"


def test_a_metric_without_history_is_told_without_a_chart() -> None:
    message = build_message(make_input())
    assert message.images == ()
    assert "orders is low" in message.text


def test_a_history_that_cannot_be_drawn_holds_up_no_alert(caplog: pytest.LogCaptureFixture) -> None:
    broken = make_history().drop("threshold")
    message = build_message(make_input(histories={"orders": broken}))
    assert message.images == ()
    assert "orders is low" in message.text
    assert "could not be drawn" in caplog.text


def test_a_message_without_alerts_is_a_mistake() -> None:
    source = make_input()
    with pytest.raises(ValueError, match=f"{MESSAGE_ID} has no alerts"):
        build_message(make_input(alerts=source.alerts.clear()))


def test_the_same_alerts_give_the_same_message() -> None:
    assert make_message() == make_message()


def test_a_message_names_the_command_that_rejects_its_alert() -> None:
    chosen = "3f2a9c1e-1a2b-5222-8333-444455556666"
    command = "anomflow feedback 3f2a9c1e down"
    one = build_message(make_input(make_alert(alert_id=chosen)))
    several = build_message(make_input(make_alert(alert_id=chosen), make_alert(metric_name="visits")))
    for message in (one, several):
        assert f"  False alarm? {command}\n" in message.text
        assert f"{command}<" in message.html
        assert message.text.count("anomflow feedback") == message.html.count("anomflow feedback") == 1


def test_what_is_no_row_or_has_no_id_of_ours_cannot_be_rejected() -> None:
    chosen = "3f2a9c1e-1a2b-5222-8333-444455556666"
    for alert in (make_alert(alert_id=chosen, kind="freshness"), make_alert(alert_id="x; rm -rf /"), make_alert(alert_id=None)):
        assert "anomflow feedback" not in build_message(make_input(alert)).text
