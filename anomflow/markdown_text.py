"""A message in the Markdown of chats: text of the data is escaped, so that it formats nothing and mentions nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from anomflow.wording import cut_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anomflow.outline import Line, Outline, Part

Escape = Callable[[str], str]

_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#~|])")
_LIST: Final = re.compile(r"^(\d*)([-+.)])(?=\s|$)")
_FENCE: Final = "```"
# Behind the first sign of a mention: seen by nobody, and the name is no name any more.
_GAP: Final = "\u200b"
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": f"@{_GAP}"})
_SIGNS: Final = re.compile(r"([<>@])")


def escape_for_discord(text: str) -> str:
    """Write one line as Discord shows it unchanged, which knows backslashes and no entities."""
    return _SIGNS.sub(r"\\\1", _escape(text))


def escape_for_mattermost(text: str) -> str:
    """Write one line as Mattermost shows it unchanged.

    Its server looks for ``@channel`` and for Slack's ``<!channel>`` and ``<address|words>`` whatever a backslash says.
    """
    return _escape(text.translate(_ENTITIES))


def _escape(text: str) -> str:
    return _LIST.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", text))


def cut_escaped(text: str, limit: int, escape: Escape) -> str:
    """Escape text and shorten it so that the result has at most ``limit`` characters and no escape is cut."""
    length = limit
    while len(cut := escape(cut_text(text, length))) > limit:
        length -= max(1, len(cut) - limit)
    return cut


def render_part(part: Part, escape: Escape, *, with_course: bool) -> str:
    """Write the facts of one metric line by line, and its course unless a chart shows it."""
    course = write_fenced(part.course) if with_course and part.course else ""
    return "\n".join(filter(None, (_render_lines(part.lines, escape), course)))


def render_rest(outline: Outline, escape: Escape) -> str:
    """Write what stands behind the metrics: names of others and commands; remarks are the caller's."""
    names = ["**Further metrics with alerts**", *(escape(name) for name in outline.names)] if outline.names else []
    fenced = ((command.label, write_fenced(command.text)) for command in outline.commands)
    return "\n".join([*names, *(f"{label}:\n{code}" for label, code in fenced if code)])


def _render_lines(lines: Iterable[Line], escape: Escape) -> str:
    return "\n".join(f"**{line.label}:** {escape(line.text)}" for line in lines)


def write_fenced(text: str) -> str:
    """Write text in fixed width; nothing where it would end its own fence, or holds what Mattermost reads even there."""
    return "" if _FENCE in text or "<" in text or "@" in text else f"{_FENCE}\n{text}\n{_FENCE}"
