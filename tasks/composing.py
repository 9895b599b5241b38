"""Compose a message: read what it tells of, and write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from anomflow.frames import ALERTS
from anomflow.histories import build_histories
from anomflow.ledger.deliveries import read_message_alerts
from anomflow.message_templates import read_templates
from anomflow.messages import MessageInput, build_message
from tasks.effects import RETRIES, effect
from tasks.history import Library, read_chart_rows

if TYPE_CHECKING:
    from anomflow.messages import Message


def compose_message(library: Library, message_id: str) -> Message:
    """Write the message of the alerts that were grouped under an id, as they are now."""
    shown = _read_alerts(library, message_id)
    names = shown["metric_name"].unique(maintain_order=True).to_list()
    histories = build_histories(read_chart_rows(library, names), read_chart_alerts(library))
    return build_message(
        MessageInput(
            message_id=message_id,
            metric_batch=library.batch.name,
            alerts=shown,
            histories=histories,
            created=library.as_of,
            max_metrics=library.batch.spec.alert.alert_message_max_metrics,
            own=read_templates(library.batch),
        )
    )


def _read_alerts(library: Library, message_id: str) -> pl.DataFrame:
    with library.warehouse.ledger.reading() as session:
        alerts = read_message_alerts(session, library.batch.spec.common.table_key, message_id)
    told = alerts.filter(pl.col("status") != "resolved")
    # A message that was tried before goes out whole: its receiver may know it already.
    return alerts if told.is_empty() else told


@effect("read alerts of charts", retries=RETRIES)
def read_chart_alerts(library: Library) -> pl.DataFrame:
    """Return the alerts (metric_name, metric_timestamp, kind) that charts mark: those that were open and not corrected."""
    name = ALERTS.name(library.batch.spec.common.table_key)
    with library.warehouse.ledger.reading() as session:
        where = f"metric_batch = {session.literal(library.batch.name)} and metric_timestamp <= {session.literal(library.as_of)}"
        alerts = session.read_table(ALERTS, name, where)
    return alerts.filter(pl.col("status").is_in(["open", "late"])).select("metric_name", "metric_timestamp", "kind")
