"""A message as an Adaptive Card of Microsoft Teams.

Text of the data stands in text runs only, which know no markup: ``**``, links and ``<at>`` are themselves, and nobody is
mentioned, since a card mentions only those that its entities name.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from anomflow.outline import Line, Outline, Part, build_outline, fit_outline
from anomflow.pictures import shrink_png

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anomflow.letters import Letter

SIZE_LIMIT: Final = 25_000  # bytes; Teams takes about 28,000 of a message
_TEXT_LIMIT: Final = 15_000  # of the bytes, so that some are left for a chart
_ENVELOPE = 500  # bytes of an image's element beside the picture
_BYTES_AS_TEXT = 3 / 4  # of Base64

Element = dict[str, Any]


@dataclass(frozen=True)
class TeamsCard:
    """The body of a request with a card, and whether it shows charts."""

    content: bytes
    has_charts: bool


def render_card(letter: Letter, message_id: str, *, charts: bool = True) -> TeamsCard:
    """Render a message with as many metrics and charts as Teams takes; a chart that does not fit is a line of characters."""
    outline = fit_outline(
        lambda shown: build_outline(letter, message_id, shown),
        lambda outline: outline,
        lambda outline: len(_write(outline, {})) <= _TEXT_LIMIT,
    )
    pictures = _fit_pictures(outline) if charts else {}
    return TeamsCard(_write(outline, pictures), bool(pictures))


def _fit_pictures(outline: Outline) -> dict[str, bytes]:
    """Return the charts by name that the room beside the text holds, the first metrics' first."""
    pictures: dict[str, bytes] = {}
    for part in outline.parts:
        room = int((SIZE_LIMIT - len(_write(outline, pictures)) - _ENVELOPE) * _BYTES_AS_TEXT)
        picture = shrink_png(part.image.png, room) if part.image else None
        if part.image and picture:
            pictures[part.image.name] = picture
    return pictures


def _write(outline: Outline, pictures: dict[str, bytes]) -> bytes:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": list(_list_elements(outline, pictures)),
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False).encode()


def _list_elements(outline: Outline, pictures: dict[str, bytes]) -> Iterator[Element]:
    yield _build_text([_build_run(outline.title, size="Large", weight="Bolder")])
    for part in outline.parts:
        yield from _render_part(part, pictures)
    if outline.names:
        yield _build_text([_build_run("Further metrics with alerts", weight="Bolder")], separator=True)
        yield from (_build_text([_build_run(name)], spacing="None") for name in outline.names)
    for command in outline.commands:
        yield _build_text([_build_run(f"{command.label}:")])
        yield _build_text([_build_run(command.text, fontType="Monospace")], spacing="None")
    yield from (_build_text([_build_run(remark, size="Small", isSubtle=True)], spacing="Small") for remark in outline.remarks)


def _render_part(part: Part, pictures: dict[str, bytes]) -> Iterator[Element]:
    if part.title:
        yield _build_text([_build_run(part.title, weight="Bolder")], separator=True)
    yield from _render_lines(part.lines)
    if part.image and part.image.name in pictures:
        url = f"data:image/png;base64,{b64encode(pictures[part.image.name]).decode()}"
        yield {"type": "Image", "url": url, "altText": f"Chart of {part.image.title}", "size": "Stretch"}
    else:
        yield from (_build_text([_build_run(line, fontType="Monospace")], spacing="None") for line in part.course.splitlines())


def _render_lines(lines: Iterable[Line]) -> Iterator[Element]:
    for line in lines:
        yield _build_text([_build_run(f"{line.label}: ", weight="Bolder"), _build_run(line.text)], spacing="Small")


def _build_text(runs: list[Element], **looks: Any) -> Element:
    return {"type": "RichTextBlock", "inlines": runs, **looks}


def _build_run(text: str, **looks: Any) -> Element:
    return {"type": "TextRun", "text": text, **looks}
