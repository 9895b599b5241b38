"""Words for numbers, times, rarity and names, safe to show: no control characters, no surprises of direction."""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NONE = "none"
_JOINERS = "\u200c\u200d"  # needed inside Persian words and emoji; they change no direction and hide nothing
_SPACES = {"Zl", "Zp", "Zs"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
_DIGITS = 4
_MOST_DIGITS = 15
_SCIENTIFIC_FROM, _SCIENTIFIC_BELOW = 1e15, 1e-4
_RAREST = 9.0
_COMMAND_LIMIT = 500
_ID = re.compile("[0-9a-f]{8}-[0-9a-f-]{27}")
_ID_LENGTH = 8


def clean_text(text: str, limit: int = 200) -> str:
    """Return text of the data as one line of at most ``limit`` characters, without control and direction characters."""
    kept = "".join(_clean_character(character) for character in text[: 4 * limit])
    line = " ".join(kept.split())
    return cut_text(line, limit) if line else "(no name)"


def _clean_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in _SPACES or character in "\t\n\r\v\f\x85":
        return " "
    return "" if category in _HIDDEN and character not in _JOINERS else character


def cut_text(text: str, limit: int) -> str:
    """Shorten text to ``limit`` characters, with three dots at the end where something is missing."""
    return text if len(text) <= limit else text[: max(0, limit - 3)].rstrip() + "..."


def render_some(names: Sequence[str], shown: int) -> str:
    """List names, the first ``shown`` of them, and say how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def render_count(count: int, noun: str, plural: str = "") -> str:
    """Write how many there are of something; ``plural`` is its name where there is not one, the noun with an s unless given."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def render_number(value: float | None, digits: int = _DIGITS) -> str:
    """Write a number with ``digits`` significant digits, all digits before the point, and thousands separators."""
    if value is None or math.isnan(value):
        return NONE if value is None else "not a number"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    size = abs(value)
    if size and not _SCIENTIFIC_BELOW <= size < _SCIENTIFIC_FROM:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_strip_zeros(mantissa)}e{int(exponent)}"
    decimals = max(0, digits - 1 - math.floor(math.log10(size))) if size else 0
    text = _strip_zeros(f"{value:,.{decimals}f}")
    return "0" if text == "-0" else text


def _strip_zeros(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def choose_digits(*values: float | None, fewest: int = _DIGITS) -> int:
    """Return how many significant digits tell apart the different ones of these numbers, ``fewest`` at least."""
    finite = {value for value in values if value is not None and math.isfinite(value)}
    for digits in range(fewest, _MOST_DIGITS):
        if len({render_number(value, digits) for value in finite}) == len(finite):
            return digits
    return _MOST_DIGITS


def render_range(low: float | None, high: float | None, digits: int = _DIGITS) -> str | None:
    """Write an expected range (``10 to 14``, ``at least 10``); None where it has no end."""
    if low is not None and high is not None:
        return f"{render_number(low, digits)} to {render_number(high, digits)}"
    if low is not None:
        return f"at least {render_number(low, digits)}"
    return None if high is None else f"at most {render_number(high, digits)}"


def render_judged(value: float | None, low: float | None, high: float | None, *, fewest: int = _DIGITS) -> tuple[str, str]:
    """Write a value and its expected range (an empty text: none) with as many digits as tell them apart, ``fewest`` at least.

    >>> render_judged(33.9142, 17.6, 33.9138)
    ('33.9142', '17.6 to 33.9138')
    """
    digits = choose_digits(value, low, high, fewest=fewest)
    return render_number(value, digits), render_range(low, high, digits) or ""


def render_time(moment: datetime) -> str:
    """Write a moment in UTC to the minute, or as exactly as it is (``2026-11-20 10:00 UTC``)."""
    exact = moment.astimezone(UTC)
    if exact.microsecond:
        return f"{exact:%Y-%m-%d %H:%M:%S.%f} UTC"
    return f"{exact:%Y-%m-%d %H:%M:%S} UTC" if exact.second else f"{exact:%Y-%m-%d %H:%M} UTC"


def render_duration(duration: timedelta) -> str:
    """Write a duration with its two largest units (``3 days 4 h``, ``2 h 5 min``, ``40 s``)."""
    seconds = int(abs(duration).total_seconds())
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return _join_units((days, "day" if days == 1 else "days"), (hours, "h"))
    if hours:
        return _join_units((hours, "h"), (minutes, "min"))
    return f"{minutes} min" if minutes else f"{seconds} s"


def _join_units(*parts: tuple[int, str]) -> str:
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def render_age(moment: datetime, created: datetime) -> str:
    """Say how long before a message (``created``) a moment was."""
    distance = created - moment
    if abs(distance) < timedelta(seconds=1):
        return "at the time of this message"
    return f"{render_duration(distance)} {'before' if distance > timedelta(0) else 'after'} this message"


def render_rarity(surprise: float | None) -> str | None:
    """Say how rare a point is from its surprise (minus log10 of its tail probability); None where it has none."""
    if surprise is None or math.isnan(surprise):
        return None
    if surprise >= _RAREST:
        return "less than 1 in 1,000,000,000 points"
    count = 10 ** max(0.0, surprise)
    if count < 2:  # noqa: PLR2004 - every second point
        return "not rare"
    step = 10 ** math.floor(math.log10(count))
    return f"about 1 in {round(count / step) * step:,} points"


def render_command(batch: str, metric: str, moment: datetime) -> str | None:
    """Write the shell command that explains a point, exact for any name; None where the name is too long to show."""
    stamp = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    options_end = ["--"] if metric.startswith("-") else []
    words = ["anomflow", "explain", *options_end, quote_argument(batch), quote_argument(metric), stamp]
    command = " ".join(words)
    return command if len(command) <= _COMMAND_LIMIT else None


def render_feedback(alert_id: str | None) -> str | None:
    """Write the shell command that rejects an alert as a false alarm; None for what is no id of ours."""
    if alert_id is None or not _ID.fullmatch(alert_id):
        return None
    return f"anomflow feedback {alert_id[:_ID_LENGTH]} down"


def quote_argument(text: str) -> str:
    """Quote a word for a shell (bash, zsh, ksh); characters that cannot be shown are written as escapes."""
    if all(unicodedata.category(character) not in _HIDDEN | {"Zl", "Zp"} for character in text):
        return shlex.quote(text)
    return "$'" + "".join(_escape_character(character) for character in text) + "'"


def _escape_character(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if unicodedata.category(character) not in _HIDDEN | {"Zl", "Zp"}:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\U{code:08x}"  # noqa: PLR2004 - the end of ASCII
