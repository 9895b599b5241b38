"""A metric's course in one line of characters, with a mark under the point that an alert is about."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII: Final = "_.-:=+*#"
MISSING: Final = " "
MARK: Final = "^"

_TO_ASCII = str.maketrans(BLOCKS, ASCII)
_LARGEST = 1e307  # so that no difference of two values overflows


def render_sparkline(values: Sequence[float | None], mark: int | None = None, width: int = 60) -> str:
    """Draw values, oldest first, as block characters; ``mark`` (an index) is pointed at from a second line.

    More values than ``width`` are drawn in groups, each by its value farthest from the median; the group of the mark
    by the marked value. A missing or infinite value is a blank.
    """
    if not values:
        return ""
    finite = [_clip(value) for value in values]
    line = _draw(_shorten(finite, mark, width))
    if mark is None or not 0 <= mark < len(values):
        return line
    return f"{line}\n{' ' * (mark * min(width, len(values)) // len(values))}{MARK}"


def to_ascii(text: str) -> str:
    """Replace the block characters of sparklines in a text by ASCII characters of rising weight."""
    return text.translate(_TO_ASCII)


def _clip(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return max(-_LARGEST, min(_LARGEST, value))


def _shorten(values: list[float | None], mark: int | None, width: int) -> list[float | None]:
    if len(values) <= width:
        return values
    present = [value for value in values if value is not None]
    centre = median(present) if present else 0.0
    groups: list[list[tuple[int, float]]] = [[] for _ in range(width)]
    for index, value in enumerate(values):
        if value is not None:
            groups[index * width // len(values)].append((index, value))
    return [max(group, key=lambda pair: (pair[0] == mark, abs(pair[1] - centre)))[1] if group else None for group in groups]


def _draw(values: list[float | None]) -> str:
    present = [value for value in values if value is not None]
    if not present:
        return MISSING * len(values)
    low, span = min(present), max(present) - min(present)
    top = len(BLOCKS) - 1
    return "".join(MISSING if value is None else BLOCKS[round((value - low) / span * top) if span else top // 2] for value in values)
