"""What a producer's judgements do to the alerts that are recorded: a pure plan of moves."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from anomflow.decisions.candidate import LASTING, NEVER_SNOOZED, Candidate, Judgements
from anomflow.decisions.snooze import Opened, Rules, Verdict, find_verdicts, is_late
from anomflow.ledger.ids import build_alert_id
from anomflow.ledger.states import AlertEvent, AlertRule, AlertSituation, AlertState, Effect, find_alert_rule, mark_reason, read_state
from anomflow.wording import render_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

FACTS: Final = ("metric_value", "expected_low", "expected_high", "anomaly_score", "surprise")
_SAME: Final = 1e-12  # relative; some engines return the last digit of a number otherwise than they got it


@dataclass(frozen=True)
class Alert:
    """A recorded alert, as far as judgements look at it."""

    alert_id: str
    metric_name: str
    metric_timestamp: datetime
    facts: tuple[float | None, ...]
    reason: str | None
    state: AlertState
    message_id: str | None

    @property
    def opened(self) -> Opened:
        """Return the alert as the snooze rule sees it."""
        return Opened(self.metric_timestamp, self.facts[FACTS.index("anomaly_score")])


@dataclass(frozen=True)
class Move:
    """One alert's way from a state to another; ``facts`` and ``reason`` as they are to stand in the ledger.

    ``needs_told`` guards the write: the alert must have a message (True) or none (False); None is either.
    """

    alert_id: str
    before: AlertState
    after: AlertState
    effect: Effect
    reason: str = ""
    facts: tuple[float | None, ...] = ()
    candidate: Candidate | None = None
    message_id: str | None = None
    needs_told: bool | None = None
    is_late: bool = False


@dataclass(frozen=True)
class Known:
    """The alerts that a plan knows: those of judged rows, and the opened ones near candidates (by metric)."""

    judged: Mapping[str, Alert]
    opened: Mapping[str, tuple[Alert, ...]]


def read_alert(row: Mapping[str, Any]) -> Alert:
    """Build an alert from a row of the ledger."""
    return Alert(
        alert_id=row["alert_id"],
        metric_name=row["metric_name"],
        metric_timestamp=row["metric_timestamp"],
        facts=tuple(row[column] for column in FACTS),
        reason=row["reason"],
        state=read_state(row["status"], row["reason"]),
        message_id=row["message_id"],
    )


def read_facts(candidate: Candidate) -> tuple[float | None, ...]:
    """Return the numbers of a candidate as the ledger keeps them: what is not finite is null, as engines differ on it."""
    values = (getattr(candidate, column) for column in FACTS)
    return tuple(value if value is not None and math.isfinite(value) else None for value in values)


@dataclass(frozen=True)
class _Case:
    """A candidate, the alert that it meets, and the rule for that."""

    alert_id: str
    candidate: Candidate
    alert: Alert | None
    rule: AlertRule | None

    @property
    def before(self) -> AlertState:
        return AlertState.ABSENT if self.alert is None else self.alert.state

    @property
    def is_undecided(self) -> bool:
        return self.rule is not None and self.rule.after is None

    @property
    def is_reopened(self) -> bool:
        return self.rule is not None and self.rule.effect is Effect.REOPEN


def find_moves(judgements: Judgements, known: Known) -> tuple[Move, ...]:
    """Return a move for each candidate and for each recorded alert that a judgement disproves."""
    cases = _find_cases(judgements, known)
    disproved = [alert for key, alert in known.judged.items() if key not in cases]
    moves = [move for alert in disproved for move in _resolve(alert, judgements)]
    gone = {move.alert_id for move in moves}
    by_metric: dict[str, list[_Case]] = defaultdict(list)
    for case in cases.values():
        by_metric[case.candidate.metric_name].append(case)
    rules = Rules(judgements.as_of, judgements.kind not in NEVER_SNOOZED, judgements.budget)
    for name, of_metric in by_metric.items():
        near = [alert for alert in known.opened.get(name, ()) if alert.alert_id not in gone]
        moves.extend(_decide_metric(of_metric, near, rules))
    return tuple(moves)


def _find_cases(judgements: Judgements, known: Known) -> dict[str, _Case]:
    """Return a case by alert id; the last of several candidates for one row counts."""
    cases = {}
    for candidate in judgements.candidates:
        key = build_alert_id(judgements.batch, judgements.kind, candidate.metric_name, candidate.metric_timestamp)
        alert = known.judged.get(key)
        cases[key] = _Case(key, candidate, alert, find_alert_rule(AlertEvent.ANOMALOUS, _build_situation(candidate, alert)))
    return cases


def _build_situation(candidate: Candidate, alert: Alert | None) -> AlertSituation:
    if alert is None:
        return AlertSituation(AlertState.ABSENT)
    is_changed = not all(map(_is_same, alert.facts, read_facts(candidate)))
    return AlertSituation(alert.state, alert.message_id is not None, is_changed)


def _resolve(alert: Alert, judgements: Judgements) -> list[Move]:
    is_lasting = judgements.kind in LASTING
    event, detail = (AlertEvent.OVER, f" by {render_time(judgements.as_of)}") if is_lasting else (AlertEvent.NORMAL, "")
    rule = find_alert_rule(event, AlertSituation(alert.state, alert.message_id is not None))
    if rule is None or rule.after is None:
        return []
    reason = mark_reason(alert.reason, rule.after, detail)
    return [Move(alert.alert_id, alert.state, rule.after, rule.effect, reason, needs_told=rule.is_told)]


def _decide_metric(cases: Sequence[_Case], near: Iterable[Alert], rules: Rules) -> list[Move]:
    """Move the alerts of one metric; those whose state is given anew do not count as opened before they are decided."""
    undecided = {case.candidate.metric_timestamp: case for case in cases if case.is_undecided}
    anew = {case.alert_id for case in undecided.values()}
    opened = [alert.opened for alert in near if alert.alert_id not in anew]
    opened += [Opened(case.candidate.metric_timestamp, case.candidate.anomaly_score) for case in cases if case.is_reopened]
    decided = find_verdicts((case.candidate for case in undecided.values()), opened, rules)
    moves = [_decide(undecided[candidate.metric_timestamp], verdict) for candidate, verdict in decided]
    return moves + [_keep(case, rules) for case in cases if not case.is_undecided]


def _decide(case: _Case, verdict: Verdict) -> Move:
    note = f" (snoozed: {verdict.note})" if verdict.note else ""
    return _build_move(case, AlertState(verdict.status), case.candidate.reason + note)


def _keep(case: _Case, rules: Rules) -> Move:
    """Leave an alert as it is, or open a told one again, which the snooze rule has no say in."""
    if case.rule is None:
        return Move(case.alert_id, case.before, case.before, Effect.NOTHING)
    return replace(_build_move(case, AlertState.OPEN, case.candidate.reason), is_late=is_late(case.candidate, rules.as_of))


def _build_move(case: _Case, after: AlertState, reason: str) -> Move:
    return Move(
        case.alert_id,
        case.before,
        after,
        Effect.NOTHING if case.rule is None else case.rule.effect,
        reason,
        facts=read_facts(case.candidate),
        candidate=case.candidate,
        message_id=None if case.alert is None else case.alert.message_id,
        needs_told=None if case.rule is None else case.rule.is_told,
    )


def _is_same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_SAME)
