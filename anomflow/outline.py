"""A message as an outline of titles, facts and remarks: what the formats of chats and pagers are rendered from.

Its texts are clean and bounded, and not escaped for any format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from anomflow.wording import NONE, cut_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anomflow.alert_words import AlertView
    from anomflow.letters import Entry, Image, Letter

SHOWN: Final = (10, 5, 2, 1)  # metrics with a part of their own: the first count whose message is not too long
LISTED: Final = 30
TITLE_LIMIT: Final = 250

_FACT_LIMIT, _NAMES_LIMIT, _NOTE_LIMIT = 300, 1500, 400
_ID_LENGTH = 8
_IN_HEADLINE: Final = ("Value", "Expected", "Allowed")
_Rendered = TypeVar("_Rendered")


@dataclass(frozen=True)
class Line:
    """A fact with its label, or a command with what it is for."""

    label: str
    text: str


@dataclass(frozen=True)
class Part:
    """One metric: its title (empty where the message's title says it), colour (``#RRGGBB``), facts, course, picture."""

    title: str
    colour: str
    lines: tuple[Line, ...]
    course: str
    image: Image | None


@dataclass(frozen=True)
class Outline:
    """A message: ``names`` are the metrics without a part; ``remarks`` end with where it comes from and its id."""

    title: str
    parts: tuple[Part, ...]
    names: tuple[str, ...]
    commands: tuple[Line, ...]
    remarks: tuple[str, ...]


def build_outline(letter: Letter, message_id: str, shown: int) -> Outline:
    """Outline a letter with at most ``shown`` metrics; the others are named."""
    entries, rest = letter.entries[:shown], letter.entries[shown:]
    return Outline(
        title=cut_text(render_title(letter), TITLE_LIMIT),
        parts=tuple(_build_part(entry, single=letter.is_single) for entry in entries),
        names=tuple(_list_names(letter, rest)),
        commands=tuple(_list_commands(entries[0].lead, single=letter.is_single)),
        remarks=(*(cut_text(note, _NOTE_LIMIT) for note in letter.notes), render_origin(letter, message_id)),
    )


def fit_outline(build: Callable[[int], Outline], render: Callable[[Outline], _Rendered], fits: Callable[[_Rendered], bool]) -> _Rendered:
    """Render the outline with as many metrics of ``SHOWN`` as fit; with one where none does."""
    for shown in SHOWN:
        rendered = render(build(shown))
        if fits(rendered):
            break
    return rendered


def render_title(letter: Letter) -> str:
    """Say in one line of any length what a message is about."""
    lead = letter.entries[0].lead
    if letter.is_single:
        return f"{capitalise(lead.label)}: {lead.headline}"
    return f"{letter.metrics} metrics of {letter.batch} alert: {lead.headline} and {letter.metrics - 1} more"


def render_origin(letter: Letter, message_id: str) -> str:
    """Say where a message comes from; its id tells people a repeated one."""
    moment = letter.created.strftime("%Y-%m-%d %H:%M")
    return f"Anomflow, batch {letter.batch}, {moment} UTC, message {message_id[:_ID_LENGTH]}"


def list_facts(view: AlertView) -> dict[str, str]:
    """Return what is known of an alert by its label, without what there is nothing to say about."""
    facts = {
        "Value": None if view.value == NONE else view.value,
        view.range_label: view.expected,
        "Difference": view.difference,
        "How rare": view.rarity,
        "When": f"{view.time}, {view.age}",
        "Why": view.reason,
        "Tags": ", ".join(view.tags),
    }
    return {label: fact for label, fact in facts.items() if fact}


def capitalise(word: str) -> str:
    """Write the first letter large and leave the others as they are."""
    return word[:1].upper() + word[1:]


def _build_part(entry: Entry, *, single: bool) -> Part:
    view = entry.lead
    facts = [Line(label, cut_text(fact, _FACT_LIMIT)) for label, fact in list_facts(view).items() if single or label not in _IN_HEADLINE]
    title = "" if single else f"{capitalise(view.label)}: {view.headline}"
    return Part(title, view.colour, (*facts, *_list_others(entry)), entry.narrow_sparkline.rstrip(), entry.image)


def _list_others(entry: Entry) -> Iterator[Line]:
    for view in entry.others:
        yield Line("Also", f"{view.label}: {view.headline}, {view.time}")
    if entry.unsaid:
        yield Line("Also", f"{entry.unsaid} more of this metric")


def _list_names(letter: Letter, rest: Iterable[Entry]) -> Iterator[str]:
    names = [*(entry.lead.headline for entry in rest), *letter.listed]
    length = 0
    for number, name in enumerate(names[:LISTED]):
        length += len(name)
        if length > _NAMES_LIMIT:
            yield f"and {len(names) - number + letter.unlisted} more"
            return
        yield name
    more = len(names[LISTED:]) + letter.unlisted
    if more:
        yield f"and {more} more"


def _list_commands(view: AlertView, *, single: bool) -> Iterator[Line]:
    explain = "Explain it" if single else "Explain the first one"
    reject = "A false alarm? Say so" if single else "Is the first one a false alarm? Say so"
    for label, command in ((explain, view.command), (reject, view.feedback)):
        if command:
            yield Line(label, command)
