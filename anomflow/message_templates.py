"""A batch's own templates for the parts of its messages: rendered in a sandbox, never at the cost of an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jinja2 import ChoiceLoader, PackageLoader, PrefixLoader

from anomflow.errors import SqlError
from anomflow.sql import Template, build_environment, render_with
from anomflow.wording import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.batches import Batch
    from anomflow.letters import Letter

PARTS: Final = ("subject", "text", "html")
NAMES: Final = ("letter", "message_id", "vars", "default")  # what a template may use
PACKAGE: Final = "anomflow"  # prefix of the shipped templates: {% extends "anomflow/message.html" %}
LIMITS: Final = {"subject": 1_000, "text": 100_000, "html": 500_000}  # characters
_NOTE_LIMIT = 300


@dataclass(frozen=True)
class OwnTemplates:
    """A batch's templates by part (``PARTS``), and its ``vars``."""

    by_part: Mapping[str, Template] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Drafted:
    """A message as far as it is written when a template sees it; ``defaults`` are the parts that it would have."""

    letter: Letter
    message_id: str
    defaults: Mapping[str, str]


@dataclass(frozen=True)
class Rendered:
    """The parts that templates gave, and a note of each that failed."""

    parts: Mapping[str, str]
    notes: tuple[str, ...]


def get_key(part: str) -> str:
    """Return the setting that holds the template of a part."""
    return f"alert_message_{part}"


def read_templates(batch: Batch) -> OwnTemplates:
    """Return the templates that a batch's settings hold."""
    found = {part: batch.template(get_key(part)) for part in PARTS}
    return OwnTemplates({part: template for part, template in found.items() if template is not None}, batch.spec.common.vars)


def render_own(own: OwnTemplates, drafted: Drafted) -> Rendered:
    """Render the templates that a batch has; one that fails becomes a note."""
    parts: dict[str, str] = {}
    notes: list[str] = []
    for part in own.by_part:
        try:
            parts[part] = render_part(own, part, drafted)
        except SqlError as error:
            problem = clean_text(str(error), _NOTE_LIMIT)
            notes.append(f"The batch's {get_key(part)} could not be used, this is the default one: {problem}")
    return Rendered(parts, tuple(notes))


def render_part(own: OwnTemplates, part: str, drafted: Drafted) -> str:
    """Render one part: values are escaped in HTML, a subject becomes one clean line.

    Raises SqlError, with file and line, for a template that cannot be rendered, is empty or too long.
    """
    template = own.by_part[part]
    environment = build_environment(template, autoescape=part == "html")
    environment.trim_blocks = environment.lstrip_blocks = True
    shipped = PrefixLoader({PACKAGE: PackageLoader(PACKAGE)})
    environment.loader = ChoiceLoader([shipped, *([environment.loader] if environment.loader else [])])
    values = {"letter": drafted.letter, "message_id": drafted.message_id, "vars": own.variables}
    if part in drafted.defaults:
        values["default"] = drafted.defaults[part]
    text = render_with(environment, template, values)
    _check_size(template, part, text)
    return clean_text(text, LIMITS["subject"]) if part == "subject" else text


def _check_size(template: Template, part: str, text: str) -> None:
    if not text.strip():
        raise SqlError("renders to nothing; write what the message shall say", template.where, template.line)
    if len(text) > LIMITS[part]:
        found = f"renders to {len(text):,} characters; allowed are {LIMITS[part]:,}. Show fewer entries"
        raise SqlError(found, template.where, template.line)


def find_failures(own: OwnTemplates, samples: Mapping[str, Drafted]) -> Iterator[tuple[str, SqlError]]:
    """Render each template with samples of messages; yield the part and the first error of each that fails."""
    for part in own.by_part:
        for name, drafted in samples.items():
            try:
                render_part(own, part, drafted)
            except SqlError as error:
                yield part, SqlError(f"{error.message} (with a sample message: {name})", error.where, error.line)
                break
