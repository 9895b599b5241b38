"""The alerts that judged rows would have raised: decisions, snooze and budget of production, on rows that came in time."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.decisions.anomaly import find_anomalies, find_budget
from anomflow.decisions.candidate import ANOMALY
from anomflow.decisions.flatline import find_flatlines
from anomflow.decisions.snooze import BUDGET_PERIOD, Opened, Rules, Verdict, find_verdict
from anomflow.decisions.threshold import find_breaches
from anomflow.feedback import NO_FEEDBACK
from anomflow.frames import ALERTS
from anomflow.ledger.alerts import NO_OPINION
from anomflow.ledger.ids import build_alert_id
from anomflow.ledger.plan import FACTS, read_facts
from anomflow.periods import drop_covered
from anomflow.sight import find_periods

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from anomflow.decisions.candidate import Candidate
    from anomflow.feedback import Adjustment
    from anomflow.sections.alerts import AlertSpec
    from anomflow.spec import BatchSpec

KEY: Final = ("metric_name", "kind", "metric_timestamp")
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def find_candidates(
    scores: pl.DataFrame, spec: AlertSpec, adjustments: Mapping[str, Adjustment] = NO_FEEDBACK.adjustments
) -> tuple[pl.DataFrame, tuple[Candidate, ...]]:
    """Return the scores with their thresholds, and the rows that are worth an alert by their score or as a flat line."""
    judged, anomalies = find_anomalies(scores, spec, adjustments)
    return judged, (*anomalies, *find_flatlines(judged, spec)[1])


def find_alerts(
    scores: pl.DataFrame, observations: pl.DataFrame, spec: BatchSpec, adjustments: Mapping[str, Adjustment] = NO_FEEDBACK.adjustments
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the scores with their thresholds, and the alerts (``frames.ALERTS``; open or snoozed), by name, kind and time.

    ``observations`` (metric_name, metric_timestamp, metric_value) are compared with the static thresholds. Each row is
    judged when it arrives, so that no alert is late.
    """
    judged, candidates = find_candidates(scores, spec.alert, adjustments)
    points = drop_covered(observations, find_periods(spec)).unique(["metric_name", "metric_timestamp"], keep="last", maintain_order=True)
    breaches = find_breaches(points, spec.thresholds)[1]
    groups: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in (*candidates, *breaches):
        groups[candidate.metric_name, candidate.kind].append(candidate)
    rows = [_build_row(spec.name, *case) for _, group in sorted(groups.items()) for case in _decide(group, _find_rules(group, spec))]
    return judged, pl.DataFrame(rows, schema=ALERTS.columns, orient="row")


def _find_rules(group: Sequence[Candidate], spec: BatchSpec) -> Rules:
    return Rules(_FIRST, budget=find_budget(spec.alert) if group[0].kind == ANOMALY else None)


def _decide(group: Iterable[Candidate], rules: Rules) -> Iterator[tuple[Candidate, Verdict]]:
    """Decide in order of time, as ``find_verdicts`` does; alerts that no later row can be near to are forgotten."""
    opened: deque[Opened] = deque()
    for candidate in sorted(group, key=lambda candidate: candidate.metric_timestamp):
        oldest = min(candidate.metric_timestamp - BUDGET_PERIOD, candidate.snooze_from or _FIRST)
        while opened and opened[0].metric_timestamp < oldest:
            opened.popleft()
        verdict = find_verdict(candidate, opened, rules)
        if verdict.status == "open":
            opened.append(Opened(candidate.metric_timestamp, candidate.anomaly_score))
        yield candidate, verdict


def _build_row(batch: str, candidate: Candidate, verdict: Verdict) -> tuple[Any, ...]:
    note = f" (snoozed: {verdict.note})" if verdict.note else ""
    row = {
        "alert_id": build_alert_id(batch, candidate.kind, candidate.metric_name, candidate.metric_timestamp),
        "metric_batch": batch,
        "metric_name": candidate.metric_name,
        "kind": candidate.kind,
        "metric_timestamp": candidate.metric_timestamp,
        "detected_at": candidate.metric_timestamp,
        **dict(zip(FACTS, read_facts(candidate), strict=True)),
        "reason": candidate.reason + note,
        "status": verdict.status,
        "message_id": None,
        "tags": None,
        **NO_OPINION,
    }
    return tuple(row[column] for column in ALERTS.columns)
