"""The content of a message in words, from which every format is rendered: text, HTML, blocks of Slack."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.alert_words import AlertView
from anomflow.charts import build_chart, render_png
from anomflow.sparkline import render_sparkline
from anomflow.wording import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHARTS: Final = 5
MORE_ALERTS: Final = 5  # of one metric, beside its most important one
LISTED_NAMES: Final = 100  # of metrics beyond the table
NARROW: Final = 30  # characters of a sparkline that fits a phone

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
class Entry:
    """What a message says of one metric: its most important alert, others, how many more, sparklines, picture.

    ``narrow_sparkline`` has at most ``NARROW`` characters a line.
    """

    lead: AlertView
    others: tuple[AlertView, ...]
    unsaid: int
    sparkline: str
    narrow_sparkline: str
    image: Image | None


@dataclass(frozen=True)
class Letter:
    """Everything that the formats of a message are rendered from.

    ``created`` is UTC; ``listed`` are names of metrics without an entry, and ``unlisted`` how many more there are;
    ``notes`` tell what went wrong with the message itself.
    """

    title: str
    batch: str
    created: datetime
    entries: tuple[Entry, ...]
    listed: tuple[str, ...]
    unlisted: int
    notes: tuple[str, ...] = ()

    @property
    def is_single(self) -> bool:
        """Tell whether the message is about one metric only."""
        return len(self.entries) == 1 and not self.listed

    @property
    def metrics(self) -> int:
        """Count the metrics that the message is about."""
        return len(self.entries) + len(self.listed) + self.unlisted


@dataclass(frozen=True)
class LetterInput:
    """What a letter is made of; the fields are those of ``MessageInput``."""

    metric_batch: str
    histories: Mapping[str, pl.DataFrame]
    created: datetime
    max_metrics: int


def build_letter(source: LetterInput, views: Sequence[AlertView]) -> Letter:
    """Put the views of a message's alerts in order, metric by metric, the most important first."""
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


def _group_views(views: Sequence[AlertView]) -> list[list[AlertView]]:
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


def _build_entry(source: LetterInput, group: list[AlertView], number: int) -> Entry:
    lead, others = group[0], group[1:]
    history = source.histories.get(lead.metric)
    return Entry(
        lead=lead,
        others=tuple(others[:MORE_ALERTS]),
        unsaid=len(others[MORE_ALERTS:]),
        sparkline="" if history is None else _draw_sparkline(history, lead.moment),
        narrow_sparkline="" if history is None else _draw_sparkline(history, lead.moment, NARROW),
        image=None if history is None or number >= CHARTS else _draw_chart(source, lead, number),
    )


def _draw_chart(source: LetterInput, lead: AlertView, number: int) -> Image | None:
    title = f"{clean_text(source.metric_batch, _BATCH_LIMIT)}: {clean_text(lead.metric)}"
    try:
        png = render_png(build_chart(title, source.histories[lead.metric], lead.moment))
    except Exception:  # an alert without its picture is better than no alert
        _LOGGER.exception("The chart of %s could not be drawn; the message goes without it.", title)
        return None
    return Image(f"chart-{number + 1}.png", title, png)


def _draw_sparkline(history: pl.DataFrame, moment: datetime, width: int = 60) -> str:
    rows = history.sort("metric_timestamp")
    before = rows.filter(pl.col("metric_timestamp") <= moment).height
    return render_sparkline(rows["metric_value"].to_list(), before - 1 if before else None, width)
