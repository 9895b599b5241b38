"""Freshness of a batch: read how old its newest rows are and how far apart rows were, record what is overdue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from anomflow.coverage import find_patience
from anomflow.decisions.candidate import FRESHNESS, Judgements
from anomflow.decisions.freshness import MEMORY, Patience, find_overdue, find_suspects
from anomflow.frames import ALERTS
from anomflow.ingestion import POINT
from anomflow.ledger.alerts import Recorded, record_judgements
from anomflow.sight import find_periods
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomflow.protocols import Session
    from anomflow.spec import Job
    from anomflow.sql import Query
    from tasks.history import Library


@effect("judge freshness", retries=RETRIES)
def judge_freshness(library: Library) -> Recorded:
    """Record an alert for each metric whose newest row is older than expected, once for each outage."""
    spec = library.batch.spec
    if spec.alert.disable_freshness:
        return Recorded()
    patience = find_arrival(library)
    with library.warehouse.reading() as session:
        newest = _read_unknown(session, library)
        suspects = find_suspects(newest, spec.alert, patience)
        cadence = _read_cadence(session, library, suspects)
    candidates = find_overdue(newest, cadence, spec.alert, patience)
    if not candidates:
        return Recorded()
    judged = newest.clear().select("metric_name", pl.col("last_point").alias("metric_timestamp"))
    judgements = Judgements(spec.name, FRESHNESS, library.as_of, judged.select(POINT), candidates, tags=spec.common.metric_tags)
    with library.warehouse.writing() as session:
        return record_judgements(session, spec.common.table_key, judgements)


def find_arrival(library: Library) -> Patience:
    """Return the time that judges and how long a row may take from its source into the table: two runs of the job that brings it."""
    spec = library.batch.spec
    job: Job = "alert" if spec.ingest.disable_ingest else "ingest"
    waits = find_patience(spec, [job], library.as_of)
    periods = find_periods(spec)
    return Patience(library.as_of, periods=periods) if waits is None else Patience(library.as_of, waits, periods)


def _read_unknown(session: Session, library: Library) -> pl.DataFrame:
    """Read the newest row of each metric, without those whose outage is recorded already."""
    newest = _query(session, library, "freshness")
    where = f"metric_batch = {session.literal(library.batch.name)} and kind = {session.literal(FRESHNESS)}"
    told = session.read_table(ALERTS, ALERTS.name(library.batch.spec.common.table_key), where)
    return newest.join(told, left_on=["metric_name", "last_point"], right_on=POINT, how="anti")


def _read_cadence(session: Session, library: Library, names: Sequence[str]) -> pl.DataFrame:
    return _query(session, library, "cadence", metrics=names)


def _query(session: Session, library: Library, query: Query, **variables: object) -> pl.DataFrame:
    return library.query(session, query, since=library.as_of - MEMORY, until=library.as_of, **variables)
