"""Snooze, age and budget: whether a candidate opens an alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from anomflow.decisions.candidate import Candidate

Status = Literal["open", "snoozed", "late"]

BUDGET_PERIOD: Final = timedelta(days=30)


@dataclass(frozen=True)
class Opened:
    """An alert of the same metric and kind that is or was open and was not corrected."""

    metric_timestamp: datetime
    anomaly_score: float | None = None


@dataclass(frozen=True)
class Rules:
    """When the candidates are judged, whether they can be snoozed, and how many may open in 30 days (None: any number)."""

    as_of: datetime
    snoozes: bool = True
    budget: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The status that a candidate gets, and why where it is snoozed."""

    status: Status
    note: str | None = None


def find_verdicts(candidates: Iterable[Candidate], opened: Iterable[Opened], rules: Rules) -> list[tuple[Candidate, Verdict]]:
    """Decide the candidates of one metric and kind in order of time; each that opens counts for the next ones."""
    known = list(opened)
    decided = []
    for candidate in sorted(candidates, key=lambda candidate: candidate.metric_timestamp):
        verdict = find_verdict(candidate, known, rules)
        if verdict.status == "open":
            known.append(Opened(candidate.metric_timestamp, candidate.anomaly_score))
        decided.append((candidate, verdict))
    return decided


def find_verdict(candidate: Candidate, opened: Sequence[Opened], rules: Rules) -> Verdict:
    """Decide one candidate: late if older than its limit, snoozed by an opened alert in its range or by the budget, else open."""
    if is_late(candidate, rules.as_of):
        return Verdict("late")
    if not rules.snoozes:
        return Verdict("open")
    near = next((other for other in opened if _is_near(candidate, other)), None)
    if near is not None:
        return Verdict("snoozed", f"near the alert of {near.metric_timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    if rules.budget is not None and _count_as_high(candidate, opened) >= rules.budget:
        return Verdict("snoozed", f"{rules.budget} alerts of the 30 days before were as high")
    return Verdict("open")


def is_late(candidate: Candidate, as_of: datetime) -> bool:
    """Tell whether a candidate's point is older than its limit when it is detected."""
    return as_of - candidate.metric_timestamp > candidate.max_age


def _is_near(candidate: Candidate, other: Opened) -> bool:
    after_start = candidate.snooze_from is None or other.metric_timestamp >= candidate.snooze_from
    before_end = candidate.snooze_until is None or other.metric_timestamp <= candidate.snooze_until
    return after_start and before_end


def _count_as_high(candidate: Candidate, opened: Sequence[Opened]) -> int:
    since = candidate.metric_timestamp - BUDGET_PERIOD
    recent = (other.anomaly_score for other in opened if since <= other.metric_timestamp < candidate.metric_timestamp)
    return sum(score is not None and score >= (candidate.anomaly_score or 0.0) for score in recent)
