"""Alerts about what did not come: read what a batch's ledger tells of them, record what is new, resolve what is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomflow.coverage import find_patience
from anomflow.decisions.candidate import Judgements
from anomflow.decisions.freshness import Patience
from anomflow.frames import ALERTS
from anomflow.ledger.alerts import Recorded, record_judgements
from anomflow.sight import find_periods

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from anomflow.decisions.candidate import Candidate
    from anomflow.protocols import Session
    from anomflow.spec import Job
    from tasks.history import Library


def find_arrival(library: Library) -> Patience:
    """Return the time that judges and how long a row may take from its source into the table: two runs of the job that brings it."""
    spec = library.batch.spec
    job: Job = "alert" if spec.ingest.disable_ingest else "ingest"
    waits = find_patience(spec, [job], library.as_of)
    periods = find_periods(spec)
    return Patience(library.as_of, periods=periods) if waits is None else Patience(library.as_of, waits, periods)


def read_told(session: Session, library: Library, *kinds: str, since: datetime | None = None) -> pl.DataFrame:
    """Return the ledger's alerts of these kinds about the batch, at most those of rows from ``since`` (UTC, inclusive) on."""
    ledger = session.ledger
    named = ", ".join(ledger.literal(kind) for kind in kinds)
    where = f"metric_batch = {ledger.literal(library.batch.name)} and kind in ({named})"
    if since is not None:
        where += f" and metric_timestamp >= {ledger.literal(since)}"
    return ledger.read_table(ALERTS, ALERTS.name(library.batch.spec.common.table_key), where)


def record_told(library: Library, kind: str, over: pl.DataFrame, candidates: Sequence[Candidate]) -> Recorded:
    """Record the candidates of a kind and resolve the alerts that are over; nothing is written where there are none."""
    if not candidates and over.is_empty():
        return Recorded()
    common = library.batch.spec.common
    judgements = Judgements(library.batch.name, kind, library.as_of, over, tuple(candidates), tags=common.metric_tags)
    with library.warehouse.ledger.writing() as session:
        return record_judgements(session, common.table_key, judgements)
