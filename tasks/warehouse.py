"""Reads and writes of the warehouse, each one session and one task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from anomflow.decisions.candidate import THRESHOLD, Judgements
from anomflow.decisions.neighbours import Placement, place_candidates
from anomflow.decisions.threshold import find_breaches
from anomflow.frames import ALERTS, METRIC, MODELS, OBSERVATIONS, SCORE
from anomflow.ingestion import POINT, Incoming, find_changes, metric_rows, score_keys
from anomflow.ledger.alerts import Recorded, ensure_ledger, record_judgements
from anomflow.periods import drop_covered
from anomflow.sight import find_periods
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.protocols import Session, Warehouse
    from anomflow.spec import BatchSpec


@effect("prepare tables", retries=RETRIES)
def prepare_tables(warehouse: Warehouse, table_key: str) -> None:
    """Create the tables that are not there yet."""
    with warehouse.writing() as session:
        for table in (OBSERVATIONS, MODELS):
            session.ensure_table(table, table.name(table_key))
        ensure_ledger(session, table_key)


@dataclass(frozen=True)
class Target:
    """Where rows are written: the warehouse, the table key, the batch's settings, the time that judges."""

    warehouse: Warehouse
    spec: BatchSpec
    as_of: datetime

    @property
    def table_key(self) -> str:
        """Return the key under which the batch's tables lie."""
        return self.spec.common.table_key


@dataclass(frozen=True)
class Written:
    """What ingesting changed: counts of rows, and of threshold alerts by what became of them."""

    new: int
    changed: int
    unchanged: int
    dropped: int
    breaches: Recorded


@effect("write observations", retries=RETRIES)
def write_observations(target: Target, incoming: Incoming, buckets: Callable[[pl.DataFrame], pl.DataFrame]) -> Written:
    """Write new and changed rows, drop the scores they make void, record threshold alerts: all of it or nothing.

    ``buckets`` maps points to the points whose scores they feed.
    """
    spec = target.spec
    name = OBSERVATIONS.name(target.table_key)
    with target.warehouse.writing() as session:
        existing = _read_existing(session, target, incoming.rows)
        changes = find_changes(incoming.rows, existing)
        session.upsert(OBSERVATIONS, name, metric_rows(changes.written, spec.name))
        void = changes.written if spec.features.freq else changes.changed
        session.delete_keys(OBSERVATIONS, name, score_keys(buckets(void), spec.name))
        breaches = record_judgements(session, target.table_key, _judge_thresholds(session, target, changes.written))
        dropped = _drop_old(session, target)
    new = changes.written.height - changes.changed.height
    return Written(new, changes.changed.height, changes.unchanged, dropped, breaches)


def _read_existing(session: Session, target: Target, rows: pl.DataFrame) -> pl.DataFrame:
    if rows.is_empty():
        return rows
    first, last = rows["metric_timestamp"].min(), rows["metric_timestamp"].max()
    where = (
        f"metric_batch = {session.literal(target.spec.name)} and metric_type = {session.literal(METRIC)}"
        f" and metric_timestamp >= {session.literal(first)} and metric_timestamp <= {session.literal(last)}"
    )
    return session.read_table(OBSERVATIONS, OBSERVATIONS.name(target.table_key), where)


def _drop_old(session: Session, target: Target) -> int:
    oldest = target.as_of - timedelta(days=target.spec.ingest.delete_after_n_days)
    return session.execute(
        f"delete from {session.identifier(OBSERVATIONS.name(target.table_key))}"
        f" where metric_batch = {session.literal(target.spec.name)}"
        f" and metric_type in ({session.literal(METRIC)}, {session.literal(SCORE)})"
        f" and metric_timestamp < {session.literal(oldest)}",
    )


def _judge_thresholds(session: Session, target: Target, rows: pl.DataFrame) -> Judgements:
    spec = target.spec
    judged, candidates = find_breaches(drop_covered(rows, find_periods(spec)), spec.thresholds)
    if candidates:
        known = _read_points(session, target, sorted({candidate.metric_name for candidate in candidates}))
        candidates = place_candidates(candidates, known, Placement(spec.thresholds.tholdalert_snooze_n, spec.alert.alert_max_age))
    return Judgements(spec.name, THRESHOLD, target.as_of, judged, candidates, tags=spec.common.metric_tags)


def _read_points(session: Session, target: Target, names: list[str]) -> pl.DataFrame:
    listed = ", ".join(session.literal(name) for name in names)
    where = f"metric_batch = {session.literal(target.spec.name)} and metric_type = {session.literal(METRIC)} and metric_name in ({listed})"
    return session.read_table(OBSERVATIONS, OBSERVATIONS.name(target.table_key), where).select(POINT)


@effect("write scores", retries=RETRIES)
def write_scores(target: Target, rows: pl.DataFrame, judgements: Sequence[Judgements]) -> list[Recorded]:
    """Write score rows and record what was judged in one transaction: a row is judged when its alert is recorded, not before."""
    with target.warehouse.writing() as session:
        recorded = [record_judgements(session, target.table_key, judgement) for judgement in judgements]
        session.upsert(OBSERVATIONS, OBSERVATIONS.name(target.table_key), rows)
    return recorded


@effect("judge thresholds", retries=RETRIES)
def judge_thresholds(target: Target, rows: pl.DataFrame) -> Recorded:
    """Record threshold alerts of rows that others wrote into the table."""
    with target.warehouse.writing() as session:
        return record_judgements(session, target.table_key, _judge_thresholds(session, target, rows))


@effect("drop void scores", retries=RETRIES)
def drop_void_scores(target: Target, points: pl.DataFrame) -> int:
    """Drop the scores of points whose value is another one now, so that they are judged again."""
    with target.warehouse.rows.writing() as session:
        return session.delete_keys(OBSERVATIONS, OBSERVATIONS.name(target.table_key), score_keys(points, target.spec.name))


@effect("read alerts", retries=RETRIES)
def read_alerts(target: Target) -> pl.DataFrame:
    """Return all alerts of a batch in whatever state, oldest first."""
    with target.warehouse.ledger.reading() as session:
        alerts = session.read_table(ALERTS, ALERTS.name(target.table_key), f"metric_batch = {session.literal(target.spec.name)}")
    return alerts.sort("metric_timestamp", "metric_name")
