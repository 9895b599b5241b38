"""Replay a batch's history through its flows, as if its crons had run at past times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from anomflow.frames import METRIC

if TYPE_CHECKING:
    from anomflow.protocols import Warehouse


@dataclass(frozen=True)
class Replay:
    """A batch to replay: from when on (after its first row) and how often its jobs ran.

    Alerts may be older than the default limit when they are found, since a replay's runs are days apart.
    """

    batch: str
    metrics: Path
    learn: timedelta
    every: timedelta

    @property
    def settings(self) -> dict[str, str]:
        """Return the overrides of a replayed run."""
        days = self.every.days + 1
        return {
            "disable_batch": "false",
            "alert_max_age": f"{days}d",
            "score_metric_timestamp_max_days_ago": str(days + self.learn.days),
        }

    def times(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """Yield the times of the runs, the last of them right after the last row."""
        moment = first + self.learn
        while moment < last:
            yield moment
            moment += self.every
        yield last + timedelta(seconds=1)


def read_span(warehouse: Warehouse, table_key: str, batch: str) -> tuple[datetime, datetime]:
    """Return the times of a batch's first and last row."""
    with warehouse.rows.reading() as session:
        frame = session.read(
            f"select min(metric_timestamp) as first_row, max(metric_timestamp) as last_row from {session.identifier(table_key)}"
            f" where metric_batch = {session.literal(batch)} and metric_type = {session.literal(METRIC)}",
        )
    first, last = frame.row(0)
    return first.astimezone(UTC), last.astimezone(UTC)
