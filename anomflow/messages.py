"""What a notification says, as a value that every channel can deliver, and how it is made of alerts.

Text of data and models reaches ``subject`` and ``text`` without control characters, ``html`` escaped. ``facts`` alone
hold it as it is.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import jinja2
import polars as pl

from anomflow.alert_words import AlertView, build_view, parse_tags
from anomflow.charts import build_chart, render_png
from anomflow.message_text import render_text
from anomflow.sparkline import render_sparkline
from anomflow.wording import clean_text, cut_text

if TYPE_CHECKING:
    from collections.abc import Mapping

CHARTS: Final = 5
MORE_ALERTS: Final = 5  # of one metric, beside its most important one
LISTED_NAMES: Final = 100  # of metrics beyond the table
SUBJECT_LIMIT: Final = 180

_BATCH_LIMIT = 50
_LISTED_NAME_LIMIT = 80
_URGENCY = {"threshold": 0, "info": 2}  # a bound that a person set comes first; the others are equal
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Image:
    """A picture of a message: its file name, what it shows, PNG bytes."""

    name: str
    title: str
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Message:
    """A notification of one batch: subject, plain text, HTML with ``cid:<image name>`` references, pictures, facts.

    ``facts`` holds a JSON-ready mapping of each alert; ``created`` is UTC.
    """

    message_id: str
    metric_batch: str
    subject: str
    text: str
    html: str
    images: tuple[Image, ...]
    facts: tuple[dict[str, object], ...]
    created: datetime


@dataclass(frozen=True)
class MessageInput:
    """What a message is made of.

    ``alerts`` has the columns of ``frames.ALERTS``, ``histories`` a frame like ``frames.HISTORY`` by metric name (a
    metric without one has no chart); ``created`` is UTC; ``max_metrics`` is the batch's ``alert_message_max_metrics``.
    """

    message_id: str
    metric_batch: str
    alerts: pl.DataFrame
    histories: Mapping[str, pl.DataFrame]
    created: datetime
    max_metrics: int = 20


@dataclass(frozen=True)
class Entry:
    """What a message says of one metric: its most important alert, others, how many more, sparkline, picture."""

    lead: AlertView
    others: tuple[AlertView, ...]
    unsaid: int
    sparkline: str
    image: Image | None


@dataclass(frozen=True)
class Letter:
    """Everything that the text and the HTML of a message are rendered from."""

    title: str
    batch: str
    created: datetime
    entries: tuple[Entry, ...]
    listed: tuple[str, ...]
    unlisted: int

    @property
    def is_single(self) -> bool:
        """Tell whether the message is about one metric only."""
        return len(self.entries) == 1 and not self.listed


def build_message(source: MessageInput) -> Message:
    """Write the message of some alerts; bounded however many they are, except for ``facts``.

    One metric gets its facts and chart, several a table and up to five charts; metrics beyond ``max_metrics`` are
    listed. Raises ValueError without alerts.
    """
    if source.alerts.is_empty():
        raise ValueError(f"message {source.message_id} has no alerts; a message is built of at least one")
    rows = source.alerts.to_dicts()
    views = [build_view(row, source.created) for row in rows]
    letter = _build_letter(source, views)
    return Message(
        message_id=source.message_id,
        metric_batch=source.metric_batch,
        subject=_render_subject(letter, source.alerts["metric_name"].n_unique()),
        text=render_text(letter),
        html=_environment().get_template("message.html").render(letter=letter),
        images=tuple(entry.image for entry in letter.entries if entry.image),
        facts=tuple(_build_facts(row, view) for row, view in zip(rows, views, strict=True)),
        created=source.created,
    )


def _build_letter(source: MessageInput, views: list[AlertView]) -> Letter:
    by_metric = _group_views(views)
    shown, rest = by_metric[: source.max_metrics], by_metric[source.max_metrics :]
    batch = clean_text(source.metric_batch, _BATCH_LIMIT)
    return Letter(
        title=_render_title(batch, by_metric),
        batch=batch,
        created=source.created.astimezone(UTC),
        entries=tuple(_build_entry(source, group, number) for number, group in enumerate(shown)),
        listed=tuple(clean_text(group[0].metric, _LISTED_NAME_LIMIT) for group in rest[:LISTED_NAMES]),
        unlisted=max(0, len(rest) - LISTED_NAMES),
    )


def _group_views(views: list[AlertView]) -> list[list[AlertView]]:
    """Return the alerts metric by metric; the most important metric, and the most important alert of each, first."""
    ordered = sorted(views, key=lambda view: (view.metric, *_rank(view)))
    groups = [list(group) for _, group in groupby(ordered, key=lambda view: view.metric)]
    return sorted(groups, key=lambda group: _rank(group[0]))


def _rank(view: AlertView) -> tuple[int, float, float]:
    return _URGENCY.get(view.kind, 1), -view.surprise, -view.moment.timestamp()


def _render_title(batch: str, by_metric: list[list[AlertView]]) -> str:
    lead = by_metric[0][0]
    if len(by_metric) == 1:
        label = "" if lead.kind == "anomaly" else f"{lead.label}: "
        return f"{batch}: {label}{lead.headline}"
    kinds = {view.label for group in by_metric for view in group}
    label = f" ({kinds.pop()})" if len(kinds) == 1 else ""
    return f"{batch}: {len(by_metric)} metrics{label}: {lead.headline} and {len(by_metric) - 1} more"


def _render_subject(letter: Letter, metrics: int) -> str:
    moment = f" at {letter.entries[0].lead.time}" if metrics == 1 else f" at {letter.created:%Y-%m-%d %H:%M} UTC"
    return cut_text(f"[anomflow] {letter.title}", SUBJECT_LIMIT - len(moment)) + moment


def _build_entry(source: MessageInput, group: list[AlertView], number: int) -> Entry:
    lead, others = group[0], group[1:]
    history = source.histories.get(lead.metric)
    return Entry(
        lead=lead,
        others=tuple(others[:MORE_ALERTS]),
        unsaid=len(others[MORE_ALERTS:]),
        sparkline="" if history is None else _draw_sparkline(history, lead.moment),
        image=None if history is None or number >= CHARTS else _draw_chart(source, lead, number),
    )


def _draw_chart(source: MessageInput, lead: AlertView, number: int) -> Image | None:
    title = f"{clean_text(source.metric_batch, _BATCH_LIMIT)}: {clean_text(lead.metric)}"
    try:
        png = render_png(build_chart(title, source.histories[lead.metric], lead.moment))
    except Exception:  # an alert without its picture is better than no alert
        _LOGGER.exception("The chart of %s could not be drawn; the message goes without it.", title)
        return None
    return Image(f"chart-{number + 1}.png", title, png)


def _draw_sparkline(history: pl.DataFrame, moment: datetime) -> str:
    rows = history.sort("metric_timestamp")
    before = rows.filter(pl.col("metric_timestamp") <= moment).height
    return render_sparkline(rows["metric_value"].to_list(), before - 1 if before else None)


def _build_facts(alert: Mapping[str, Any], view: AlertView) -> dict[str, object]:
    """Return an alert's columns, JSON-ready, with its tags as a mapping, its headline and the command that explains it."""
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
