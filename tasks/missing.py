"""Missing rows of a batch: read where its metrics have gaps, record those that are new, resolve those that were filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.decisions.candidate import FRESHNESS, MISSING, VOLUME
from anomflow.decisions.freshness import MEMORY
from anomflow.decisions.missing import RECENT, find_filled, find_lossy, find_missing
from anomflow.ledger.alerts import Recorded
from tasks.told import find_arrival, read_told, record_told

if TYPE_CHECKING:
    from tasks.history import Library

_TOLD: Final = ("metric_name", "kind", "metric_timestamp", "detected_at", "status")


def judge_gaps(library: Library) -> Recorded:
    """Record an alert for each gap in a regular metric that no freshness alert told of, and resolve those that were filled."""
    spec = library.batch.spec
    if spec.alert.disable_missing:
        return Recorded()
    patience = find_arrival(library)
    with library.warehouse.reading() as session:
        alerts = read_told(session, library, MISSING, FRESHNESS, VOLUME, since=library.as_of - MEMORY).select(_TOLD)
        told, outages = alerts.filter(pl.col("kind") == MISSING), alerts.filter(pl.col("kind") != MISSING)
        since = library.as_of - RECENT - (spec.alert.missing_grace or patience.arrival)
        recent = library.query(session, "gaps", since=since, until=library.as_of, metrics=None)
        lossy = find_lossy(recent, told, spec.alert)
        gaps = library.query(session, "gaps", since=library.as_of - MEMORY, until=library.as_of, metrics=lossy) if lossy else recent.clear()
    candidates = find_missing(gaps, outages, spec.alert, patience)
    filled = find_filled(gaps, told, library.as_of)
    return record_told(library, MISSING, filled, candidates)
