"""What a notification says, as a value that every channel can deliver, and how it is made of alerts.

Text of data and models reaches ``subject``, ``text`` and ``letter`` without control characters, ``html`` escaped.
``facts`` alone hold it as it is.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jinja2
import polars as pl

from anomflow.alert_words import AlertView, build_view, parse_tags
from anomflow.letters import Image, Letter, LetterInput, build_letter
from anomflow.message_templates import Drafted, OwnTemplates, render_own
from anomflow.message_text import render_text
from anomflow.wording import cut_text

if TYPE_CHECKING:
    from collections.abc import Mapping

SUBJECT_LIMIT: Final = 180
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """A notification of one batch: subject, plain text, HTML with ``cid:<image name>`` references, pictures, facts.

    ``facts`` holds a JSON-ready mapping of each alert; ``created`` is UTC; ``letter`` is the content in words, for
    channels with a format of their own.
    """

    message_id: str
    metric_batch: str
    subject: str
    text: str
    html: str
    images: tuple[Image, ...]
    facts: tuple[dict[str, object], ...]
    created: datetime
    letter: Letter


@dataclass(frozen=True)
class MessageInput:
    """What a message is made of.

    ``alerts`` has the columns of ``frames.ALERTS``, ``histories`` a frame like ``frames.HISTORY`` by metric name (a
    metric without one has no chart); ``created`` is UTC; ``max_metrics`` is the batch's ``alert_message_max_metrics``;
    ``own`` are the batch's own templates; ``is_recorded`` tells whether a ledger holds the alerts: commands about others
    would lead nowhere, and are left out.
    """

    message_id: str
    metric_batch: str
    alerts: pl.DataFrame
    histories: Mapping[str, pl.DataFrame]
    created: datetime
    max_metrics: int = 20
    own: OwnTemplates = field(default_factory=OwnTemplates)
    is_recorded: bool = True


def build_message(source: MessageInput) -> Message:
    """Write the message of some alerts; bounded however many they are, except for ``facts``.

    One metric gets its facts and chart, several a table and up to five charts; metrics beyond ``max_metrics`` are
    listed. A template of the batch that fails is replaced by the default one, and the message says so. Raises
    ValueError without alerts.
    """
    if source.alerts.is_empty():
        raise ValueError(f"message {source.message_id} has no alerts; a message is built of at least one")
    rows = source.alerts.to_dicts()
    views = [_build_view(source, row) for row in rows]
    letter, parts = _write(source, views)
    return Message(
        message_id=source.message_id,
        metric_batch=source.metric_batch,
        subject=cut_text(parts["subject"], SUBJECT_LIMIT),
        text=parts["text"],
        html=parts["html"],
        images=tuple(entry.image for entry in letter.entries if entry.image),
        facts=tuple(_build_facts(row, view) for row, view in zip(rows, views, strict=True)),
        created=source.created,
        letter=letter,
    )


def _build_view(source: MessageInput, alert: Mapping[str, Any]) -> AlertView:
    view = build_view(alert, source.created)
    return view if source.is_recorded else replace(view, command=None, feedback=None)


def _write(source: MessageInput, views: list[AlertView]) -> tuple[Letter, dict[str, str]]:
    """Render the parts, those of the batch's own templates first, since the others tell of their failures."""
    letter = build_letter(LetterInput(source.metric_batch, source.histories, source.created, source.max_metrics), views)
    defaults = {"subject": render_subject(letter), "text": render_text(letter)}
    own = render_own(source.own, Drafted(letter, source.message_id, defaults))
    for note in own.notes:
        _LOGGER.warning("Message %s: %s", source.message_id, note)
    letter = replace(letter, notes=own.notes)
    return letter, {"subject": defaults["subject"], "text": render_text(letter), "html": _render_html(letter), **own.parts}


def render_subject(letter: Letter) -> str:
    """Say in one line what happened and when."""
    moment = f" at {letter.entries[0].lead.time}" if letter.metrics == 1 else f" at {letter.created:%Y-%m-%d %H:%M} UTC"
    return cut_text(f"[anomflow] {letter.title}", SUBJECT_LIMIT - len(moment)) + moment


def _render_html(letter: Letter) -> str:
    return _environment().get_template("message.html").render(letter=letter)


def _build_facts(alert: Mapping[str, Any], view: AlertView) -> dict[str, object]:
    """Return an alert's columns, JSON-ready, with its tags as a mapping, its headline and the command that explains it, if any."""
    columns = {name: _to_json(value) for name, value in alert.items()}
    tags = parse_tags(alert["tags"])
    return {**columns, "tags": alert["tags"] if tags is None else tags, "headline": view.headline, "explain": view.command}


def _to_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


@cache
def _environment() -> jinja2.Environment:
    """Load templates, package data that an editor knows as HTML; every value is escaped, an unknown one an error."""
    loader = jinja2.PackageLoader("anomflow")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
