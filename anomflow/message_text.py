"""The plain text of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anomflow.alert_words import AlertView
    from anomflow.letters import Entry, Letter

_LABEL_WIDTH = 12


def render_text(letter: Letter) -> str:
    """Write a message for readers without HTML: the same facts, with sparklines instead of charts."""
    entries = [_render_entry(entry, with_headline=not letter.is_single) for entry in letter.entries]
    blocks = [letter.title, *entries]
    if letter.listed:
        more = [f"  and {letter.unlisted} more"] if letter.unlisted else []
        blocks.append("\n".join(["Further metrics with alerts:", *(f"  {name}" for name in letter.listed), *more]))
    blocks += letter.notes
    blocks.append(f"Written by Anomflow at {letter.created:%Y-%m-%d %H:%M} UTC for the batch {letter.batch}.")
    return "\n\n".join(blocks) + "\n"


def _render_entry(entry: Entry, *, with_headline: bool) -> str:
    parts = [*([entry.lead.headline] if with_headline else []), _render_facts(entry.lead)]
    if entry.sparkline.strip():
        parts.append("\n" + "\n".join(f"  {line}" for line in entry.sparkline.splitlines()) + "\n")
    if entry.others:
        parts.append("\n".join(["  Also:", *_render_others(entry)]))
    if entry.lead.command:
        parts.append(f"  Explain it: {entry.lead.command}")
    if entry.lead.feedback:
        parts.append(f"  False alarm? {entry.lead.feedback}")
    return "\n".join(parts)


def _render_others(entry: Entry) -> Iterable[str]:
    yield from (f"    {view.time}  {view.label}: {view.headline}" for view in entry.others)
    if entry.unsaid:
        yield f"    and {entry.unsaid} more of this metric"


def _render_facts(view: AlertView) -> str:
    facts = {
        "Kind": view.label,
        "When": f"{view.time}, {view.age}",
        "Value": view.value,
        view.range_label: view.expected,
        "Difference": view.difference,
        "How rare": view.rarity,
        "Why": view.reason,
        "Tags": ", ".join(view.tags),
    }
    return "\n".join(f"  {label:<{_LABEL_WIDTH}}{fact}" for label, fact in facts.items() if fact)
