"""What is said about one alert, word by word: a view that the plain text and the HTML of a message share."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from anomflow.feedback import ROW_KINDS
from anomflow.wording import (
    choose_digits,
    clean_text,
    render_age,
    render_command,
    render_feedback,
    render_number,
    render_range,
    render_rarity,
    render_time,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

NAME_LIMIT: Final = 60
_REASON_LIMIT = 500
_TAGS, _TAG_LIMIT = 20, 100
_LARGEST_PERCENT = 10_000.0

# Kind: the word for it, the background of its badge (white text on it has a contrast of 4.5 or more), its shape, which is
# that of its mark in charts.
KINDS: Final[dict[str, tuple[str, str, str]]] = {
    "anomaly": ("anomaly", "#B03A00", "\u25cf"),
    "threshold": ("threshold", "#8A2A77", "\u25b2"),
    "change": ("change", "#00599A", "\u25c6"),
    "freshness": ("freshness", "#8A5A00", "\u25a0"),
    "missing": ("missing rows", "#7A3E00", "\u2716"),
    "volume": ("volume", "#4B3FA0", "\u2605"),
    "flatline": ("flat line", "#6B5200", "\u271a"),
    "llm": ("language model", "#00694D", "\u25bc"),
    "info": ("info", "#565E6B", "\u25ba"),
}
_OTHER_LOOK = ("#333333", "\u25c4")


@dataclass(frozen=True)
class AlertView:
    """One alert in words, clean and bounded, not yet escaped for any format.

    ``metric`` is the name as stored; ``headline`` starts with the shown name. What there is nothing to say about is None.
    """

    metric: str
    kind: str
    label: str
    colour: str
    shape: str
    headline: str
    value: str
    range_label: str
    expected: str | None
    difference: str | None
    rarity: str | None
    time: str
    age: str
    reason: str | None
    tags: tuple[str, ...]
    command: str | None
    feedback: str | None
    moment: datetime
    surprise: float


@dataclass(frozen=True)
class _Numbers:
    """The numbers of an alert, and how many digits tell them apart."""

    value: float | None
    low: float | None
    high: float | None

    @property
    def digits(self) -> int:
        return choose_digits(self.value, self.low, self.high)

    @property
    def side(self) -> int:
        """Return 1 above the range, -1 below it, else 0."""
        if self.value is None:
            return 0
        if self.high is not None and self.value > self.high:
            return 1
        return -1 if self.low is not None and self.value < self.low else 0

    def write(self, number: float | None) -> str:
        return render_number(number, self.digits)

    def write_range(self) -> str | None:
        return render_range(self.low, self.high, self.digits)


def build_view(alert: Mapping[str, Any], created: datetime) -> AlertView:
    """Put one row of ``frames.ALERTS`` into words, seen from the time of its message."""
    numbers = _Numbers(*(_or_none(alert[name]) for name in ("metric_value", "expected_low", "expected_high")))
    kind, moment = clean_text(alert["kind"], 30), alert["metric_timestamp"]
    label, colour, shape = KINDS.get(kind, (kind, *_OTHER_LOOK))
    return AlertView(
        metric=alert["metric_name"],
        kind=kind,
        label=label,
        colour=colour,
        shape=shape,
        headline=f"{clean_text(alert['metric_name'], NAME_LIMIT)} {_say(kind, numbers)}",
        value=numbers.write(numbers.value),
        range_label="Allowed" if kind == "threshold" else "Expected",
        expected=numbers.write_range(),
        difference=_render_difference(numbers, "allowed" if kind == "threshold" else "expected"),
        rarity=render_rarity(_or_none(alert["surprise"])),
        time=render_time(moment),
        age=render_age(moment, created),
        reason=clean_text(alert["reason"], _REASON_LIMIT) if alert["reason"] else None,
        tags=_read_tags(alert["tags"]),
        command=render_command(alert["metric_batch"], alert["metric_name"], moment),
        feedback=render_feedback(alert.get("alert_id")) if kind in ROW_KINDS else None,
        moment=moment,
        surprise=_or_none(alert["surprise"]) or 0.0,
    )


def _or_none(number: float | None) -> float | None:
    return None if number is None or math.isnan(number) else number


def _say(kind: str, numbers: _Numbers) -> str:
    """Finish a sentence that starts with the metric's name."""
    value, expected = numbers.write(numbers.value), numbers.write_range()
    in_context = value if expected is None else f"{value}, expected {expected}"
    if kind == "threshold":
        return _say_threshold(numbers)
    sentences = {
        "anomaly": f"{('looks unusual', 'is high', 'is low')[numbers.side]} ({in_context})",
        "change": f"has changed ({in_context})",
        "freshness": "is overdue: no new value",
        "missing": "has missing rows",
        "volume": f"have dropped in number ({in_context})",
        "flatline": f"stays at {value}",
        "llm": f"looks wrong to the language model ({in_context})",
        "info": f"is at {value}",
    }
    return sentences.get(kind, f"alerts ({in_context})")


def _say_threshold(numbers: _Numbers) -> str:
    value = numbers.write(numbers.value)
    if numbers.side > 0:
        return f"is above its threshold ({value}, at most {numbers.write(numbers.high)} allowed)"
    if numbers.side < 0:
        return f"is below its threshold ({value}, at least {numbers.write(numbers.low)} allowed)"
    return f"is beyond its threshold ({value})"


def _render_difference(numbers: _Numbers, kind_of_range: str) -> str | None:
    """Say how far a value lies beyond the nearer end of its range."""
    end = numbers.high if numbers.side > 0 else numbers.low
    if not numbers.side or numbers.value is None or end is None:
        return None
    distance = abs(numbers.value - end)
    percent = 100 * distance / abs(end) if end else math.inf
    share = f" ({render_number(percent, 2)} %)" if percent < _LARGEST_PERCENT else ""
    return f"{render_number(distance)}{share} {'above' if numbers.side > 0 else 'below'} the {kind_of_range} range"


def _read_tags(tags: str | None) -> tuple[str, ...]:
    """Write tags as ``key=value``; what is no JSON object is shown as it is."""
    pairs = parse_tags(tags)
    if pairs is None:
        return (clean_text(tags, _TAG_LIMIT),) if tags else ()
    return tuple(clean_text(f"{key}={value}", _TAG_LIMIT) for key, value in list(pairs.items())[:_TAGS])


def parse_tags(tags: str | None) -> dict[str, object] | None:
    """Read the tags of an alert (JSON text); None where they are no object."""
    try:
        pairs = json.loads(tags or "{}")
    except (ValueError, RecursionError):
        return None
    return pairs if isinstance(pairs, dict) else None
