"""Freshness of a batch: read how old its newest rows are and how far apart rows were, record what is overdue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anomflow.decisions.candidate import FRESHNESS
from anomflow.decisions.freshness import MEMORY, TOLD, add_recovered, find_overdue, find_returned, find_suspects
from anomflow.ledger.alerts import Recorded
from tasks.told import find_arrival, read_told, record_told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from anomflow.protocols import Session
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
        told = read_told(session, library, FRESHNESS).select(list(TOLD))
        unknown = add_recovered(newest, told)
        suspects = find_suspects(unknown, spec.alert, patience)
        cadence = _read_cadence(session, library, suspects)
    candidates = find_overdue(unknown, cadence, spec.alert, patience)
    returned = find_returned(newest, told, candidates)
    return record_told(library, FRESHNESS, returned, candidates)


def _read_cadence(session: Session, library: Library, names: Sequence[str]) -> pl.DataFrame:
    return _query(session, library, "cadence", metrics=names)


def _query(session: Session, library: Library, query: Query, **variables: object) -> pl.DataFrame:
    return library.query(session, query, since=library.as_of - MEMORY, until=library.as_of, **variables)
