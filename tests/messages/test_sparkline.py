from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.sparkline import ASCII, BLOCKS, render_sparkline, to_ascii


@pytest.mark.parametrize(
    ("values", "mark", "drawn"),
    [
        ([], None, ""),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], None, BLOCKS),
        ([5.0, 5.0, 5.0], None, "▄▄▄"),
        ([1.0, None, 2.0], 2, "▁ █\n  ^"),
        ([None, None], 0, "  \n^"),
        ([1e308, -1e308, 0.0], None, "█▁▅"),
        ([float("inf"), 1.0, float("nan"), 2.0], None, " ▁ █"),
        ([1.0, 2.0], 7, "▁█"),
    ],
)
def test_values_become_heights(values: list[float | None], mark: int | None, drawn: str) -> None:
    assert render_sparkline(values, mark) == drawn


def test_a_long_course_keeps_its_peak_and_points_at_it() -> None:
    values: list[float | None] = [float(number % 3) for number in range(1000)]
    values[777] = 50.0
    line, pointer = render_sparkline(values, 777, width=40).splitlines()
    assert len(line) == 40
    assert line[pointer.index("^")] == "█"
    assert line.count("█") == 1


def test_the_group_of_the_mark_shows_the_marked_value() -> None:
    values: list[float | None] = [10.0, 0.0] * 50
    line, pointer = render_sparkline(values, 51, width=10).splitlines()
    assert line[pointer.index("^")] == "▁"


@given(st.lists(st.none() | st.floats(), max_size=300), st.integers(min_value=1, max_value=80))
def test_a_line_is_never_wider_than_asked(values: list[float | None], width: int) -> None:
    line = render_sparkline(values, width=width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set(BLOCKS + " ")


def test_blocks_become_ascii_of_rising_weight() -> None:
    assert to_ascii(f"orders {BLOCKS}\n ^ é") == f"orders {ASCII}\n ^ é"
