"""The facts of a message as labels and texts, for pagers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anomflow.outline import build_outline

if TYPE_CHECKING:
    from anomflow.messages import Message

_SHOWN: Final = 5


def build_details(message: Message) -> dict[str, str]:
    """Return the facts of a message by label; of several metrics each has a line of its own."""
    outline = build_outline(message.letter, message.message_id, _SHOWN)
    if message.letter.is_single:
        facts = [(line.label, line.text) for line in outline.parts[0].lines]
    else:
        facts = [(part.title, "; ".join(f"{line.label}: {line.text}" for line in part.lines)) for part in outline.parts]
    course = outline.parts[0].course if message.letter.is_single else ""
    rest = [
        *([("Course", course)] if course else []),
        *([("Further metrics with alerts", "\n".join(outline.names))] if outline.names else []),
        *((line.label, line.text) for line in outline.commands),
        ("Message", "; ".join(outline.remarks)),
    ]
    details: dict[str, str] = {}
    for label, text in (*facts, *rest):
        details[label] = f"{details[label]}\n{text}" if label in details else text
    return details
