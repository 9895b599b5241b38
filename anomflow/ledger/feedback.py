"""Feedback in the ledger: what a person says of an alert, written and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.conform import conform_times
from anomflow.errors import MissingTableError
from anomflow.feedback import DOWN, EXPECTED, NO_FEEDBACK, NONE, UP, Feedback, find_adjustments, find_alerts_not_learned, find_points
from anomflow.frames import ALERTS, OBSERVATIONS, SCORE
from anomflow.ledger.alerts import resolve_by_hand
from anomflow.ledger.rows import Rows
from anomflow.series import build_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from anomflow.protocols import Session
    from anomflow.spec import BatchSpec

# What the table of rows shows of feedback, for those who read no other: Anomstack's types.
PROJECTIONS: Final = {UP: "thumbsup", DOWN: "thumbsdown"}
_WINDOWS: Final = 50  # in one statement


@dataclass(frozen=True)
class Opinion:
    """What a person says of an alert (a word of ``feedback.WORDS``), with a note, at ``now`` (zoned)."""

    alert_id: str
    word: str
    note: str
    now: datetime


@dataclass(frozen=True)
class Given:
    """What an opinion did: was the alert found, did anything change, was the alert resolved by it."""

    found: bool = False
    changed: bool = False
    resolved: bool = False


def record_feedback(session: Session, table_key: str, opinion: Opinion) -> Given:
    """Write an opinion into the ledger, instead of an earlier one; the same again changes nothing.

    An open alert that is expected is resolved by hand. The rows of type thumbsup and thumbsdown follow.
    """
    ledger = session.ledger
    ledger.ensure_columns(ALERTS, ALERTS.name(table_key))
    alerts = Rows(ledger, ALERTS, table_key)
    found = alerts.read(alerts.equals("alert_id", opinion.alert_id)).to_dicts()
    if not found:
        return Given()
    wanted = _build_columns(opinion)
    # Even where nothing is new: who died between two databases left the rows behind.
    _project(session, table_key, {**found[0], **wanted})
    if all(found[0][column] == wanted[column] for column in ("feedback", "feedback_note")):
        return Given(found=True)
    alerts.update({column: ledger.literal(value) for column, value in wanted.items()}, alerts.equals("alert_id", opinion.alert_id))
    why = f"expected: {opinion.note}" if opinion.note else "expected"
    is_resolved = opinion.word == EXPECTED and resolve_by_hand(session, table_key, opinion.alert_id, opinion.now, why=why)
    return Given(found=True, changed=True, resolved=is_resolved)


def _build_columns(opinion: Opinion) -> dict[str, Any]:
    if opinion.word == NONE:
        return {"feedback": None, "feedback_at": None, "feedback_note": None}
    return {"feedback": opinion.word, "feedback_at": opinion.now.astimezone(UTC), "feedback_note": opinion.note or None}


def _project(session: Session, table_key: str, alert: Mapping[str, Any]) -> None:
    facts = {"alert_id": alert["alert_id"], "kind": alert["kind"], "note": alert["feedback_note"]}
    row = {
        "metric_timestamp": alert["metric_timestamp"],
        "metric_batch": alert["metric_batch"],
        "metric_name": alert["metric_name"],
        "metric_value": 1.0,
        "metadata": json.dumps(facts, ensure_ascii=False),
    }
    name = OBSERVATIONS.name(table_key)
    rows = pl.DataFrame([{**row, "metric_type": kind} for kind in PROJECTIONS.values()], schema=OBSERVATIONS.columns)
    session.delete_keys(OBSERVATIONS, name, rows)
    session.upsert(OBSERVATIONS, name, rows.filter(pl.col("metric_type") == PROJECTIONS.get(alert["feedback"] or NONE, "")))


def read_opinions(session: Session, table_key: str, batch: str) -> pl.DataFrame:
    """Return the alerts of a batch that have feedback (``frames.ALERTS``), oldest first; none where nobody ever gave any."""
    nothing = pl.DataFrame(schema=ALERTS.columns)
    alerts = Rows(session.ledger, ALERTS, table_key)
    try:
        if "feedback" in session.ledger.find_missing(ALERTS, alerts.name):
            return nothing
    except MissingTableError:
        return nothing
    given = alerts.read(alerts.equals("metric_batch", batch), f"{alerts.column('feedback')} is not null")
    return given.sort("metric_timestamp", "alert_id")


def read_feedback(session: Session, spec: BatchSpec, as_of: datetime) -> Feedback:
    """Return what the feedback on a batch's alerts changes at a time (zoned): one query, a second one where rows are not learned."""
    if not spec.feedback.feedback_acts:
        return NO_FEEDBACK
    opinions = read_opinions(session, spec.common.table_key, spec.name)
    if opinions.is_empty():
        return NO_FEEDBACK
    since = as_of - timedelta(days=spec.train.train_metric_timestamp_max_days_ago)
    alerts = find_alerts_not_learned(opinions, as_of).filter(pl.col("metric_timestamp") >= since)
    points = {} if alerts.is_empty() else build_times(find_points(alerts, _read_scores(session, spec, alerts)))
    return Feedback(find_adjustments(opinions, spec.feedback, as_of), points)


def _read_scores(session: Session, spec: BatchSpec, alerts: pl.DataFrame) -> pl.DataFrame:
    """Read the scores of the alerts' rows and of those after them, as many as a snooze lasts."""
    windows = list(_build_windows(session, spec, alerts.unique(["metric_name", "metric_timestamp"], maintain_order=True)))
    parts = [session.read(" union all ".join(windows[at : at + _WINDOWS])) for at in range(0, len(windows), _WINDOWS)]
    return pl.concat([_type_scores(part) for part in parts])


def _build_windows(session: Session, spec: BatchSpec, alerts: pl.DataFrame) -> Iterator[str]:
    def render(row: Mapping[str, Any]) -> str:
        equal = {"metric_batch": spec.name, "metric_name": row["metric_name"], "metric_type": SCORE}
        conditions = [f"{session.identifier(column)} = {session.literal(value)}" for column, value in equal.items()]
        conditions.append(f"{session.identifier('metric_timestamp')} >= {session.literal(row['metric_timestamp'])}")
        return (
            f"select metric_name, metric_timestamp, metadata from {table} where {' and '.join(conditions)}"
            f" order by metric_timestamp limit {spec.alert.alert_snooze_n + 1}"
        )

    table = session.identifier(OBSERVATIONS.name(spec.common.table_key))
    for number, row in enumerate(alerts.iter_rows(named=True)):
        yield f"select * from ({render(row)}) as w{number}"


def _type_scores(rows: pl.DataFrame) -> pl.DataFrame:
    columns: Sequence[str] = ("metric_name", "metric_timestamp", "metadata")
    return conform_times(rows).select(pl.col(column).cast(OBSERVATIONS.columns[column]) for column in columns)
