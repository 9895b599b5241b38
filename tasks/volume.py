"""Volume of a batch: read how many metrics came at each time, record a drop, resolve it when they are back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from anomflow.decisions.candidate import VOLUME
from anomflow.decisions.volume import COUNTED, Drop, build_volume, find_drop, find_ended
from anomflow.ledger.alerts import Recorded
from anomflow.ledger.states import RESOLVED
from tasks.told import find_arrival, read_told, record_told

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.decisions.candidate import Candidate
    from anomflow.decisions.freshness import Patience
    from anomflow.protocols import Session
    from tasks.history import Library


def judge_volume(library: Library) -> tuple[Recorded, tuple[datetime, ...]]:
    """Record one alert for a batch that brings fewer metrics than it used to, and resolve it when it ended.

    Returns what it recorded, and when the drop began that lasts, if any.
    """
    spec = library.batch.spec
    if spec.alert.disable_volume:
        return Recorded(), ()
    patience = find_arrival(library)
    with library.warehouse.reading() as session:
        arrivals = library.query(session, "arrivals", since=library.as_of - COUNTED, until=library.as_of)
        told = read_told(session, library, VOLUME).filter(pl.col("metric_timestamp") <= library.as_of)
        drop = find_drop(arrivals, spec.alert, patience)
        candidate = None if drop is None else _build(session, library, drop, patience)
    ended = find_ended(told, arrivals, drop)
    past = told.filter(pl.col("status") == RESOLVED)["metric_timestamp"].to_list()
    candidates = () if candidate is None or candidate.metric_timestamp in past else (candidate,)
    lasting = () if candidate is None else (candidate.metric_timestamp,)
    return record_told(library, VOLUME, ended, candidates), lasting


def _build(session: Session, library: Library, drop: Drop, patience: Patience) -> Candidate | None:
    rows = [library.query(session, "freshness", since=moment, until=moment) for moment in (drop.before, drop.start)]
    return build_volume(drop, (rows[0]["metric_name"].to_list(), rows[1]["metric_name"].to_list()), library.batch.spec.alert, patience)
