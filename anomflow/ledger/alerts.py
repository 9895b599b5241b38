"""Alerts: what producers record, and what a person resolves."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.decisions.names import find_tags
from anomflow.decisions.snooze import BUDGET_PERIOD
from anomflow.frames import ALERTS, DELIVERIES, LEDGER
from anomflow.ledger.plan import FACTS, Alert, Known, Move, find_moves, read_alert
from anomflow.ledger.rows import Rows, chunks
from anomflow.ledger.states import (
    RESOLVED,
    AlertEvent,
    AlertSituation,
    AlertState,
    DeliveryEvent,
    Effect,
    find_alert_rule,
    find_delivery_rules,
    mark_reason,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anomflow.decisions.candidate import Judgements
    from anomflow.protocols import Session

NO_OPINION: Final = dict.fromkeys(("feedback", "feedback_at", "feedback_note"))
_KEY: Final = ("metric_name", "metric_timestamp")
_KEY_TYPES: Final = {column: ALERTS.columns[column] for column in _KEY}


@dataclass(frozen=True)
class Recorded:
    """What a producer's judgements changed, in alerts.

    ``opened``, ``snoozed`` and ``late`` are new in that state, ``reopened`` of the opened ones were corrected before,
    ``corrected`` were disproved, what ``recovered`` ones told of is over, ``unchanged`` are candidates whose alert stays in its state.
    """

    opened: int = 0
    snoozed: int = 0
    late: int = 0
    corrected: int = 0
    recovered: int = 0
    reopened: int = 0
    unchanged: int = 0


def count_alerts(recorded: Iterable[Recorded]) -> dict[str, int]:
    """Return how many alerts producers recorded, by what became of them, in the words of a run's outcome."""
    parts = list(recorded)
    return {
        "alerts": sum(part.opened for part in parts),
        "snoozed": sum(part.snoozed for part in parts),
        "late": sum(part.late for part in parts),
        "corrected": sum(part.corrected for part in parts),
    }


def ensure_ledger(session: Session, table_key: str) -> None:
    """Create the tables of alerts and deliveries where they do not exist yet."""
    for table in LEDGER:
        session.ledger.ensure_table(table, table.name(table_key))


def record_judgements(session: Session, table_key: str, judgements: Judgements) -> Recorded:
    """Write what a producer judged into the ledger, within the caller's open writing session.

    The same judgements again change nothing. Alerts near the candidates are read in the same transaction; every change
    is guarded by the state that was read, so that another producer or the alert job can interleave anywhere.
    """
    alerts = Rows(session.ledger, ALERTS, table_key)
    known = Known(_read_judged(alerts, judgements), _read_opened(alerts, judgements))
    moves = find_moves(judgements, known)
    _insert(alerts, judgements, [move for move in moves if move.effect is Effect.INSERT])
    for written in (Effect.REPLACE, Effect.REOPEN, Effect.RESOLVE):
        _rewrite(alerts, [move for move in moves if move.effect is written])
    _revive(alerts, [move for move in moves if move.effect is Effect.REOPEN])
    return _count(moves)


def resolve_by_hand(session: Session, table_key: str, alert_id: str, now: datetime, *, why: str = "") -> bool:
    """Resolve an open alert because a person says so (``why``), at ``now`` (UTC); False where it is not open."""
    alerts = Rows(session.ledger, ALERTS, table_key)
    found = [read_alert(row) for row in alerts.read(alerts.equals("alert_id", alert_id)).to_dicts()]
    detail = f" at {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" + (f" ({why})" if why else "")
    return any(_resolve_by_hand(alerts, alert, detail) for alert in found)


def _resolve_by_hand(alerts: Rows, alert: Alert, detail: str) -> bool:
    rule = find_alert_rule(AlertEvent.RESOLVED, AlertSituation(alert.state, alert.message_id is not None))
    if rule is None:
        return False
    reason = mark_reason(alert.reason, AlertState.BY_HAND, detail)
    changes = {"status": alerts.session.literal(AlertState.BY_HAND.status), "reason": alerts.session.literal(reason)}
    return alerts.update(changes, alerts.equals("alert_id", alert.alert_id), alerts.equals("status", alert.state.status)) > 0


def _read_judged(alerts: Rows, judgements: Judgements) -> dict[str, Alert]:
    """Read the recorded alerts of the judged rows: one query over their time range, whatever their number."""
    judged = judgements.judged.select(pl.col(column).cast(kind) for column, kind in _KEY_TYPES.items())
    keys = pl.concat([judged, _build_keys(judgements)]).unique()
    if keys.is_empty():
        return {}
    times = keys["metric_timestamp"]
    found = alerts.read(*_of_kind(alerts, judgements), *_between(alerts, times.min(), times.max()))
    return {row["alert_id"]: read_alert(row) for row in found.join(keys, on=_KEY, how="semi").to_dicts()}


def _build_keys(judgements: Judgements) -> pl.DataFrame:
    rows = [(candidate.metric_name, candidate.metric_timestamp.astimezone(UTC)) for candidate in judgements.candidates]
    return pl.DataFrame(rows, schema=_KEY_TYPES, orient="row")


def _read_opened(alerts: Rows, judgements: Judgements) -> dict[str, tuple[Alert, ...]]:
    """Read the opened alerts that candidates may be near to, of their metrics only."""
    opened: dict[str, list[Alert]] = defaultdict(list)
    within = (*_of_kind(alerts, judgements), *_between(alerts, *_find_range(judgements)))
    statuses = sorted({state.status for state in AlertState if state.is_opened})
    for names in chunks(candidate.metric_name for candidate in judgements.candidates):
        found = alerts.read(*within, alerts.among("status", statuses), alerts.among("metric_name", names))
        for alert in map(read_alert, found.to_dicts()):
            if alert.state.is_opened:
                opened[alert.metric_name].append(alert)
    return {name: tuple(of_metric) for name, of_metric in opened.items()}


def _find_range(judgements: Judgements) -> tuple[datetime | None, datetime | None]:
    """Return the times between which an opened alert can matter to a candidate; None is unbounded."""
    candidates = judgements.candidates
    starts = [candidate.snooze_from for candidate in candidates]
    ends = [candidate.snooze_until for candidate in candidates]
    if judgements.budget is not None:
        starts += [candidate.metric_timestamp - BUDGET_PERIOD for candidate in candidates]
    first = None if None in starts else min((start for start in starts if start is not None), default=None)
    last = None if None in ends else max((end for end in ends if end is not None), default=None)
    return first, last


def _of_kind(alerts: Rows, judgements: Judgements) -> tuple[str, str]:
    return alerts.equals("metric_batch", judgements.batch), alerts.equals("kind", judgements.kind)


def _between(alerts: Rows, first: Any, last: Any) -> list[str]:
    bounds = (("metric_timestamp", ">=", first), ("metric_timestamp", "<=", last))
    return [alerts.compare(*bound) for bound in bounds if bound[2] is not None]


def _insert(alerts: Rows, judgements: Judgements, moves: Sequence[Move]) -> None:
    rows = [_build_row(judgements, move) for move in moves]
    if rows:
        alerts.insert(pl.DataFrame(rows, schema=ALERTS.columns))


def _build_row(judgements: Judgements, move: Move) -> dict[str, object]:
    candidate = move.candidate
    if candidate is None:
        raise ValueError(f"alert {move.alert_id} is to be inserted without a candidate")
    return {
        "alert_id": move.alert_id,
        "metric_batch": judgements.batch,
        "metric_name": candidate.metric_name,
        "kind": judgements.kind,
        "metric_timestamp": candidate.metric_timestamp.astimezone(UTC),
        "detected_at": judgements.as_of.astimezone(UTC),
        **dict(zip(FACTS, move.facts, strict=True)),
        "reason": move.reason,
        "status": move.after.status,
        "message_id": None,
        "tags": json.dumps(find_tags(candidate.metric_name, judgements.tags), sort_keys=True, ensure_ascii=False),
        **NO_OPINION,
    }


def _rewrite(alerts: Rows, moves: Iterable[Move]) -> None:
    """Write moves of one effect: a statement for each way between two states, guarded by what the plan was made from."""
    groups: dict[tuple[AlertState, AlertState, bool | None], dict[str, Move]] = defaultdict(dict)
    for move in moves:
        groups[move.before, move.after, move.needs_told][move.alert_id] = move
    for (before, after, needs_told), group in groups.items():
        guards = (alerts.equals("status", before.status), *_guard_told(alerts, needs_told))
        for part in chunks(group):
            changes = {"status": alerts.session.literal(after.status), **_choose(alerts, [group[key] for key in part])}
            alerts.update(changes, alerts.among("alert_id", part), *guards)


def _guard_told(alerts: Rows, needs_told: bool | None) -> tuple[str, ...]:
    column = alerts.column("message_id")
    return {None: (), False: (f"{column} is null",), True: (f"{column} is not null",)}[needs_told]


def _choose(alerts: Rows, moves: Sequence[Move]) -> dict[str, str]:
    """Render the new reason of each alert, and its new facts where the moves bring any."""
    changes = {"reason": alerts.choose("reason", "alert_id", {move.alert_id: move.reason for move in moves})}
    for place, column in enumerate(FACTS if moves[0].facts else ()):
        changes[column] = alerts.choose(column, "alert_id", {move.alert_id: move.facts[place] for move in moves})
    return changes


def _revive(alerts: Rows, moves: Iterable[Move]) -> None:
    """Make deliveries pending again that were cancelled because their alerts were corrected: nothing was sent of them."""
    deliveries = Rows(alerts.session, DELIVERIES, alerts.table_key)
    literal = alerts.session.literal
    changes = {"attempts": literal(0), "claimed_by": literal(None), "claimed_until": literal(None)}
    for rule in find_delivery_rules(DeliveryEvent.REVIVE):
        for part in chunks(move.message_id for move in moves if move.message_id is not None and not move.is_late):
            states = deliveries.among("state", [state.value for state in rule.before])
            deliveries.update({"state": literal(rule.after.value), **changes}, deliveries.among("message_id", part), states)


def _count(moves: Iterable[Move]) -> Recorded:
    counts = Counter(name for move in moves for name in _name_change(move))
    return Recorded(**counts)


def _name_change(move: Move) -> list[str]:
    if move.effect is Effect.RESOLVE:
        return [move.after.value]
    if move.before is move.after:
        return ["unchanged"]
    names = {AlertState.OPEN: "opened", AlertState.SNOOZED: "snoozed", AlertState.LATE: "late"}
    return [names[move.after]] + ["reopened"] * (move.before.status == RESOLVED and move.after is AlertState.OPEN)
