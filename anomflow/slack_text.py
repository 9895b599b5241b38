"""A message as Slack's blocks.

Text of the data stands in ``plain_text`` and in the text elements of ``rich_text`` only, which know no markup: ``*``,
``_`` and backticks are themselves, and a mention is a text like any other. ``&``, ``<`` and ``>`` are escaped everywhere,
as Slack asks. Each metric is an attachment, for the bar in the colour of its kind beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from anomflow.outline import LISTED, SHOWN, capitalise, list_facts, render_origin, render_title
from anomflow.wording import cut_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from anomflow.alert_words import AlertView
    from anomflow.letters import Entry, Letter

Block = dict[str, Any]

HEADER_LIMIT: Final = 150  # characters, of Slack
SIZE_LIMIT: Final = 12_000  # Slack takes about 13,000 characters in the blocks of a message
FALLBACK_LIMIT: Final = 3000

_REASON_LIMIT, _TAGS_LIMIT, _NAMES_LIMIT, _NOTE_LIMIT = 300, 300, 1500, 400
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class SlackContent:
    """What Slack shows: ``text`` in notifications and where blocks do not fit, ``blocks``, coloured ``attachments``."""

    text: str
    blocks: list[Block]
    attachments: list[Block]

    @property
    def size(self) -> int:
        """Count the characters of all texts, as they are sent."""
        return sum(len(text) for text in find_texts([*self.blocks, *self.attachments]))


def find_texts(block: object) -> Iterator[str]:
    """Yield every text inside blocks, as it is sent."""
    if isinstance(block, list):
        yield from (text for part in block for text in find_texts(part))
    elif isinstance(block, dict):
        yield from (
            text for key, part in block.items() for text in ([part] if key == "text" and isinstance(part, str) else find_texts(part))
        )


def render_slack(letter: Letter, message_id: str, closing: str = "") -> SlackContent:
    """Render a message as blocks within Slack's limits; ``closing`` is a remark for its end."""
    remarks = (*letter.notes, *([closing] if closing else []), render_origin(letter, message_id))
    for shown in SHOWN:
        content = _render(letter, shown, remarks)
        if content.size <= SIZE_LIMIT:
            break
    return content


def _render(letter: Letter, count: int, remarks: Iterable[str]) -> SlackContent:
    shown, rest = letter.entries[:count], letter.entries[count:]
    render = _render_single if letter.is_single else _render_row
    attachments = [{"color": entry.lead.colour, "fallback": escape(entry.lead.headline), "blocks": [render(entry)]} for entry in shown]
    tail = [*_render_names(letter, rest), *_render_commands(shown[0], single=letter.is_single), *map(_build_context, remarks)]
    return SlackContent(
        text=escape(cut_text(letter.title, FALLBACK_LIMIT)),
        blocks=[_build_header(render_title(letter))],
        attachments=[*attachments, {"fallback": escape(letter.batch), "blocks": tail}],
    )


def escape(text: str) -> str:
    """Replace the three characters that Slack reads as markup in every text."""
    return text.translate(_ESCAPES)


def _render_single(entry: Entry) -> Block:
    """Render all that is known of one metric: its facts line by line, its course, its other alerts."""
    lines = [_build_fact(label, fact) for label, fact in list_facts(entry.lead).items()]
    return _build_rich(_join_lines(lines), _build_course(entry), _render_others(entry))


def _build_fact(label: str, fact: str) -> list[Block]:
    return [_build_text(f"{label}: ", bold=True), _build_text(cut_text(fact, _TAGS_LIMIT if label == "Tags" else _REASON_LIMIT))]


def _render_row(entry: Entry) -> Block:
    """Render one metric of several: what happened, when and how rare, why and whose it is."""
    view = entry.lead
    more = f"{len(entry.others) + entry.unsaid} more of this metric" if entry.others else None
    lines = [
        [_build_text(f"{capitalise(view.label)}: ", bold=True), _build_text(view.headline)],
        [_build_text(" · ".join(filter(None, (view.difference, view.rarity, view.time, more))))],
        *(
            [_build_text(cut_text(text, limit))]
            for text, limit in ((view.reason, _REASON_LIMIT), (", ".join(view.tags), _TAGS_LIMIT))
            if text
        ),
    ]
    return _build_rich(_join_lines(lines), _build_course(entry))


def _build_course(entry: Entry) -> Block | None:
    """Draw the metric's course in fixed width; Slack would cut blanks at its end only."""
    if not entry.narrow_sparkline.strip():
        return None
    return {"type": "rich_text_preformatted", "elements": [_build_text(entry.narrow_sparkline)]}


def _render_others(entry: Entry) -> Block | None:
    if not entry.others:
        return None
    unsaid = [[_build_text(f"and {entry.unsaid} more of this metric")]] if entry.unsaid else []
    lines = [[_build_text("Also", bold=True)], *(_render_other(view) for view in entry.others), *unsaid]
    return _join_lines(lines)


def _render_other(view: AlertView) -> list[Block]:
    return [_build_text(f"{capitalise(view.label)}: ", bold=True), _build_text(f"{view.headline}, {view.time}")]


def _render_names(letter: Letter, rest: Iterable[Entry]) -> Iterable[Block]:
    """List the metrics that have no entry here."""
    names = [*(entry.lead.headline for entry in rest), *letter.listed]
    if names:
        more = len(names[LISTED:]) + letter.unlisted
        listed = cut_text("\n".join(names[:LISTED]), _NAMES_LIMIT) + (f"\nand {more} more" if more else "")
        yield _build_rich(_join_lines([[_build_text("Further metrics with alerts", bold=True)], [_build_text(listed)]]))


def _render_commands(entry: Entry, *, single: bool) -> Iterable[Block]:
    explain = "Explain it:" if single else "Explain the first one:"
    reject = "A false alarm? Say so:" if single else "Is the first one a false alarm? Say so:"
    for label, command in ((explain, entry.lead.command), (reject, entry.lead.feedback)):
        if command:
            yield _build_rich(_join_lines([[_build_text(label)]]), {"type": "rich_text_preformatted", "elements": [_build_text(command)]})


def _build_header(text: str) -> Block:
    return {"type": "header", "text": _build_plain(_cut_escaped(text, HEADER_LIMIT))}


def _cut_escaped(text: str, limit: int) -> str:
    """Cut a text so that it is no longer than a limit once it is escaped, and no escape is cut."""
    length = limit
    while len(cut := escape(cut_text(text, length))) > limit:
        length -= len(cut) - limit
    return cut


def _build_context(text: str) -> Block:
    return {"type": "context", "elements": [_build_plain(escape(cut_text(text, _NOTE_LIMIT)))]}


def _build_plain(escaped: str) -> Block:
    return {"type": "plain_text", "text": escaped, "emoji": False}


def _build_text(text: str, *, bold: bool = False) -> Block:
    style: Mapping[str, Any] = {"style": {"bold": True}} if bold else {}
    return {"type": "text", "text": escape(text), **style}


def _join_lines(lines: Iterable[list[Block]]) -> Block:
    elements: list[Block] = []
    for line in lines:
        elements += [*([_build_text("\n")] if elements else []), *line]
    return {"type": "rich_text_section", "elements": elements}


def _build_rich(*parts: Block | None) -> Block:
    return {"type": "rich_text", "elements": [part for part in parts if part is not None]}
