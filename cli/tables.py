"""Tables for people: columns that align, text of the data escaped, cut to the width of a terminal and to nothing in a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP: Final = "  "
NONE: Final = "-"
_NARROWEST: Final = 8
_HIDDEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS: Final = "\u200c\u200d"
_BMP: Final = 0xFFFF


def escape_text(text: str) -> str:
    r"""Write characters that cannot be seen, or that steer a terminal, as escapes.

    >>> escape_text("a\x1b[31mb\nc")
    'a\\u001b[31mb\\u000ac'
    """
    return "".join(_escape(character) for character in text)


def escape_lines(text: str) -> str:
    """Escape a text of several lines, which it stays."""
    return "\n".join(escape_text(line.replace("\t", " ")) for line in text.split("\n"))


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN or character in _JOINERS:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= _BMP else f"\\U{code:08x}"


def measure(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def render_cell(value: object) -> str:
    """Write a value on one line: times in UTC to the second, nothing as a dash."""
    if value is None:
        return NONE
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return escape_text(str(value)) or NONE


def render_table(headings: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None) -> list[str]:
    """Lay cells out in columns, numbers to the right; ``width`` (None: no bound) shortens the widest columns."""
    cells = [[render_cell(value) for value in row] for row in rows]
    widths = [max(map(measure, column)) for column in zip(headings, *cells, strict=True)]
    widths = _fit(widths, width)
    right = [_is_numeric(column) for column in zip(*rows, strict=True)] or [False] * len(headings)
    return [_join(line, widths, right) for line in [list(headings), *cells]]


def _is_numeric(column: Sequence[object]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in column)


def _fit(widths: list[int], width: int | None) -> list[int]:
    """Narrow the widest columns until the table fits, none below eight."""
    fitted = list(widths)
    while width is not None and sum(fitted) + len(GAP) * (len(fitted) - 1) > width and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _join(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for cell, width, to_right in zip(cells, widths, right, strict=True):
        shown = _shorten(cell, width)
        space = " " * (width - measure(shown))
        parts.append(space + shown if to_right else shown + space)
    return GAP.join(parts).rstrip()


def _shorten(text: str, width: int) -> str:
    if measure(text) <= width:
        return text
    kept = ""
    for character in text:
        if measure(kept + character) > width - 3:
            break
        kept += character
    return f"{kept}..."


def find_width() -> int | None:
    """Return the width of the terminal that is printed to; None where none is."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, its headings bold in a terminal."""
    first, *lines = render_table(headings, rows, find_width())
    typer.echo("\n".join([paint(first, bold=True), *lines]))


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print labels and values under one another."""
    lines = [(escape_text(label), render_cell(value)) for label, value in facts]
    width = max((measure(label) for label, _ in lines), default=0)
    for label, value in lines:
        typer.echo(f"{label}{' ' * (width - measure(label))}{GAP}{value}")


def paint(text: str, **style: object) -> str:
    """Style a text for a terminal, unless NO_COLOR asks for none."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, **style)  # type: ignore[arg-type]
