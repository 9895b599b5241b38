from __future__ import annotations

import shlex
import shutil
import subprocess
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_samples import HOSTILE, MOMENT

from anomflow.wording import (
    choose_digits,
    clean_text,
    quote_argument,
    render_age,
    render_command,
    render_count,
    render_number,
    render_range,
    render_rarity,
    render_some,
    render_time,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.2, "3.2"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (9.99999, "10"),
        (1234.5678, "1,235"),
        (-12345.678, "-12,346"),
        (123456789.0, "123,456,789"),
        (0.00012341, "0.0001234"),
        (0.000012341, "1.234e-5"),
        (1.5e15, "1.5e15"),
        (1e308, "1e308"),
        (-5e-324, "-4.941e-324"),
        (float("nan"), "not a number"),
        (float("-inf"), "-infinity"),
        (None, "none"),
    ],
)
def test_numbers_are_short_and_grouped(value: float | None, text: str) -> None:
    assert render_number(value) == text


@given(st.floats(min_value=-1e308, max_value=1e308))
def test_a_written_number_is_near_the_number(value: float) -> None:
    assert float(render_number(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


def test_different_numbers_are_written_differently() -> None:
    digits = choose_digits(100.04, 100.0, None)
    assert (render_number(100.04, digits), render_number(100.0, digits)) == ("100.04", "100")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(10.0, 14.0, "10 to 14"), (10.0, None, "at least 10"), (None, 14.0, "at most 14"), (None, None, None)],
)
def test_ranges_say_which_ends_they_have(low: float | None, high: float | None, text: str | None) -> None:
    assert render_range(low, high) == text


@pytest.mark.parametrize(
    ("surprise", "text"),
    [
        (4.48, "about 1 in 30,000 points"),
        (4.999, "about 1 in 100,000 points"),
        (0.5, "about 1 in 3 points"),
        (0.1, "not rare"),
        (-1.0, "not rare"),
        (9.0, "less than 1 in 1,000,000,000 points"),
        (float("inf"), "less than 1 in 1,000,000,000 points"),
        (float("nan"), None),
        (None, None),
    ],
)
def test_surprise_becomes_a_frequency(surprise: float | None, text: str | None) -> None:
    assert render_rarity(surprise) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(0), "at the time of this message"),
        (timedelta(seconds=40), "40 s before this message"),
        (timedelta(minutes=72), "1 h 12 min before this message"),
        (timedelta(hours=2), "2 h before this message"),
        (timedelta(days=1), "1 day before this message"),
        (timedelta(days=3, hours=4, minutes=9), "3 days 4 h before this message"),
        (timedelta(minutes=-5), "5 min after this message"),
    ],
)
def test_ages_have_two_units(before: timedelta, text: str) -> None:
    assert render_age(MOMENT - before, MOMENT) == text


def test_times_are_utc_and_as_exact_as_they_are() -> None:
    elsewhere = datetime.fromisoformat("2026-11-20T11:00:00+01:00")
    assert render_time(elsewhere) == "2026-11-20 10:00 UTC"
    assert render_time(MOMENT + timedelta(seconds=7)) == "2026-11-20 10:00:07 UTC"
    assert render_time(MOMENT + timedelta(microseconds=5)) == "2026-11-20 10:00:00.000005 UTC"


@given(st.text(max_size=300), st.integers(min_value=4, max_value=80))
def test_shown_text_is_one_bounded_line_without_hidden_characters(text: str, limit: int) -> None:
    shown = clean_text(text, limit)
    assert 0 < len(shown) <= max(limit, len("(no name)"))
    assert {unicodedata.category(character) for character in shown}.isdisjoint({"Cc", "Zl", "Zp", "Cs"})
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff") & set(shown)


def test_a_plain_command_reads_plainly() -> None:
    assert render_command("checkout", "orders", MOMENT) == "anomflow explain checkout orders 2026-11-20T10:00:00Z"
    assert render_command("checkout", "--help", MOMENT) == "anomflow explain -- checkout --help 2026-11-20T10:00:00Z"
    assert render_command("checkout", "x" * 10_000, MOMENT) is None


def test_a_command_with_a_hostile_name_is_one_visible_line() -> None:
    command = render_command("checkout", HOSTILE, datetime(2026, 1, 1, tzinfo=UTC))
    assert command is not None
    assert command.isprintable()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash reads the commands back")
@pytest.mark.parametrize(
    "name",
    [
        "orders",
        "a b",
        "a'b\"c",
        "$(id)",
        "`id`",
        "a\\n",
        "a\nb",
        "é ü 注文",
        "\x1b[31m'\\x",
        "a\u202eb",
        "\U000e0001f",
        HOSTILE.replace("\x00", ""),
    ],
)
def test_a_shell_reads_a_quoted_name_back(name: str) -> None:
    answer = subprocess.run(["bash", "-c", f"printf %s {quote_argument(name)}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})  # noqa: S607 - the shell is what is tested
    assert answer.stdout.decode() == name


def test_names_without_need_are_quoted_as_usual() -> None:
    assert quote_argument("a b") == shlex.quote("a b")


@pytest.mark.parametrize(
    ("count", "noun", "expected"),
    [(0, ("alert",), "0 alerts"), (1, ("alert",), "1 alert"), (1200, ("alert",), "1,200 alerts"), (2, ("batch", "batches"), "2 batches")],
)
def test_a_count_agrees_with_its_noun(count: int, noun: tuple[str, ...], expected: str) -> None:
    assert render_count(count, *noun) == expected


@pytest.mark.parametrize(("names", "expected"), [("", ""), ("ab", "a, b"), ("abc", "a, b and 1 more")])
def test_a_long_list_says_how_much_is_left_out(names: str, expected: str) -> None:
    assert render_some(list(names), 2) == expected
