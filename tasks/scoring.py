"""Score a batch slice by slice: find the points that await a judgement, judge them, write what was judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomflow.ledger.alerts import count_alerts
from anomflow.workers import open_workers
from tasks.effects import effect
from tasks.history import Library, Look, read_awaiting
from tasks.judgement import Judge, Judged
from tasks.models import Pinned
from tasks.slices import read_score_slices
from tasks.warehouse import Target, judge_thresholds, write_scores

if TYPE_CHECKING:
    from anomflow.feedback import Feedback
    from anomflow.slicing import Slice
    from tasks.history import Candidates


@dataclass(frozen=True)
class Scored:
    """What a run scored: counts by name, metrics that failed, whether any point was judged or none failed."""

    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    worked: bool = True


@dataclass(frozen=True, eq=False)
class Exam:
    """What to score, by which models (None: there are none yet), and where it goes."""

    library: Library
    target: Target
    pinned: Pinned | None
    feedback: Feedback

    @property
    def look(self) -> Look:
        """Return how points that await a judgement are looked for."""
        if self.pinned is not None:
            return Look(self.pinned.version.oldest, self.pinned.features)
        spec = self.library.batch.spec
        return Look(self.library.as_of, (spec.features, spec.common.timezone))

    def read(self, work: Slice) -> Candidates:
        """Read the points of a slice; where others write the rows, check their static thresholds."""
        found = read_awaiting(self.library, self.look, work)
        if self.library.batch.spec.ingest.disable_ingest:
            judge_thresholds(self.target, found.awaiting)
        return found


@effect("score")
def score_slices(exam: Exam) -> Scored:
    """Judge slice after slice; what is judged of one is written at once, whatever becomes of the next."""
    spec = exam.library.batch.spec
    shards = spec.models.shards if exam.pinned is None else len(exam.pinned.models)
    slices = read_score_slices(exam.library, exam.look, shards)
    if exam.pinned is None:
        return Scored({"points_waiting_for_a_model": sum(exam.read(work).awaiting.height for work in slices)})
    with open_workers(spec.models) as workers:
        judge = Judge(exam.library, exam.pinned, exam.feedback, workers)
        return _sum_up([_score_slice(exam, judge, work) for work in slices])


def _score_slice(exam: Exam, judge: Judge, work: Slice) -> Scored:
    judged = judge.judge(exam.read(work))
    if judged.scores.is_empty():
        return Scored({}, judged.failures, not judged.failures)
    return Scored(_count(exam.target, judged), judged.failures)


def _count(target: Target, judged: Judged) -> dict[str, int]:
    recorded = write_scores(target, judged.rows, judged.judgements)
    scores = judged.scores["anomaly"]
    return {"scored": scores.count(), "without_a_score": scores.null_count(), **count_alerts(recorded)}


def _sum_up(parts: Sequence[Scored]) -> Scored:
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    failures = {name: reason for part in parts for name, reason in part.failures.items()}
    return Scored(dict(counts), failures, not parts or any(part.worked for part in parts))
