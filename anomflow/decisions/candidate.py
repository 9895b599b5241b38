"""What a decision hands to the ledger: rows that were judged, and those of them that are worth an alert."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

ANOMALY: Final = "anomaly"
THRESHOLD: Final = "threshold"
FLATLINE: Final = "flatline"
FRESHNESS: Final = "freshness"
MISSING: Final = "missing"
VOLUME: Final = "volume"
CHANGE: Final = "change"
INFO: Final = "info"

NEVER_SNOOZED: Final = frozenset({INFO})
LASTING: Final = frozenset({FRESHNESS, MISSING, VOLUME})  # kinds that tell of a condition: it was there, and ends

DAY: Final = timedelta(days=1)
STEPS: Final = 3  # an alert may be three steps old, however slow the metric is


@dataclass(frozen=True)
class Candidate:
    """A row that is worth an alert, before snooze, age and budget are looked at.

    Times are UTC. ``snooze_from`` and ``snooze_until`` are inclusive; None is unbounded on that side, since the metric
    has fewer rows there than a snooze lasts.
    """

    metric_name: str
    kind: str
    metric_timestamp: datetime
    metric_value: float | None
    expected_low: float | None
    expected_high: float | None
    anomaly_score: float | None
    surprise: float | None
    reason: str
    max_age: timedelta
    snooze_from: datetime | None = None
    snooze_until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a time without zone, which every engine would take for another moment."""
        if self.metric_timestamp.utcoffset() is None:
            raise ValueError(f"metric_timestamp {self.metric_timestamp} of {self.metric_name!r} has no time zone; give it in UTC")


@dataclass(frozen=True, eq=False)
class Judgements:
    """What one producer judged of one kind: every judged row, and the candidates among them.

    ``judged`` has the columns metric_name and metric_timestamp (others are ignored): a recorded alert of such a row
    that is no candidate now is resolved, as corrected, or as recovered where the kind is ``LASTING``. ``budget`` bounds
    the opened alerts of a metric in 30 days, None does not. ``tags`` go by metric name or pattern (``names.find_tags``).
    """

    batch: str
    kind: str
    as_of: datetime
    judged: pl.DataFrame
    candidates: tuple[Candidate, ...]
    budget: int | None = None
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse candidates of another kind, whose alerts this recording would not find."""
        others = {candidate.kind for candidate in self.candidates} - {self.kind}
        if others:
            raise ValueError(f"judgements of kind {self.kind!r} hold candidates of {sorted(others)}; record each kind on its own")


def find_max_age(given: timedelta | None, step_seconds: float | None) -> timedelta:
    """Return how old a point may be when it is detected: as given, else the larger of 24 hours and three steps."""
    return given or max(DAY, timedelta(seconds=STEPS * (step_seconds or 0.0)))


def build_candidate(row: Mapping[str, Any], kind: str, reason: str, max_age: timedelta | None) -> Candidate:
    """Build a candidate from a row of the SCORES frame."""
    return Candidate(
        metric_name=row["metric_name"],
        kind=kind,
        metric_timestamp=row["metric_timestamp"],
        metric_value=row["metric_value"],
        expected_low=row["expected_low"],
        expected_high=row["expected_high"],
        anomaly_score=row["anomaly_score"],
        surprise=row["surprise"],
        reason=reason,
        max_age=find_max_age(max_age, row["step_seconds"]),
        snooze_from=row["snooze_from"],
        snooze_until=row["snooze_until"],
    )
