"""Freshness of a batch: read how old its newest rows are and how far apart rows were, record what is overdue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anomflow.coverage import find_patience
from anomflow.decisions.candidate import FRESHNESS, Judgements
from anomflow.decisions.freshness import MEMORY, TOLD, Patience, add_recovered, find_overdue, find_returned, find_suspects
from anomflow.frames import ALERTS
from anomflow.ledger.alerts import Recorded, record_judgements
from anomflow.sight import find_periods

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from anomflow.protocols import Session
    from anomflow.spec import Job
    from anomflow.sql import Query
    from tasks.history import Library


def judge_freshness(library: Library, drops: tuple[datetime, ...] = ()) -> Recorded:
    """Record an alert for each metric whose newest row is older than expected, once for each outage, and resolve those that ended.

    ``drops`` are the beginnings of drops of the whole batch that last: what fell silent by them is told with them.
    """
    spec = library.batch.spec
    if spec.alert.disable_freshness:
        return Recorded()
    patience = replace(find_arrival(library), drops=drops)
    with library.warehouse.reading() as session:
        newest = _query(session, library, "freshness")
        told = _read_told(session, library)
        unknown = add_recovered(newest, told)
        suspects = find_suspects(unknown, spec.alert, patience)
        cadence = _read_cadence(session, library, suspects)
    candidates = find_overdue(unknown, cadence, spec.alert, patience)
    returned = find_returned(newest, told, candidates)
    if not candidates and returned.is_empty():
        return Recorded()
    judgements = Judgements(spec.name, FRESHNESS, library.as_of, returned, candidates, tags=spec.common.metric_tags)
    with library.warehouse.writing() as session:
        return record_judgements(session, spec.common.table_key, judgements)


def find_arrival(library: Library) -> Patience:
    """Return the time that judges and how long a row may take from its source into the table: two runs of the job that brings it."""
    spec = library.batch.spec
    job: Job = "alert" if spec.ingest.disable_ingest else "ingest"
    waits = find_patience(spec, [job], library.as_of)
    periods = find_periods(spec)
    return Patience(library.as_of, periods=periods) if waits is None else Patience(library.as_of, waits, periods)


def _read_told(session: Session, library: Library) -> pl.DataFrame:
    where = f"metric_batch = {session.literal(library.batch.name)} and kind = {session.literal(FRESHNESS)}"
    return session.read_table(ALERTS, ALERTS.name(library.batch.spec.common.table_key), where).select(list(TOLD))


def _read_cadence(session: Session, library: Library, names: Sequence[str]) -> pl.DataFrame:
    return _query(session, library, "cadence", metrics=names)


def _query(session: Session, library: Library, query: Query, **variables: object) -> pl.DataFrame:
    return library.query(session, query, since=library.as_of - MEMORY, until=library.as_of, **variables)
