"""From points that await a judgement to score rows and judgements: which replay each metric needs, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from anomflow.decisions.anomaly import find_anomalies, find_budget
from anomflow.decisions.candidate import ANOMALY, FLATLINE, INFO, Candidate, Judgements
from anomflow.decisions.flatline import find_flatlines
from anomflow.decisions.names import is_scored
from anomflow.decisions.newest import find_newest
from anomflow.ingestion import POINT
from anomflow.judging import BEFORE_START, Plan, build_plan, fill_scores, limit_first, null_scores, score_rows
from anomflow.series import Floats, SeriesBatch, build_times, drop_points
from anomflow.sight import build_seen, build_sight, find_ignored
from anomflow.slicing import group_shards
from tasks.detection import ToScore, score_shard
from tasks.history import Candidates, read_history, read_scored_names

if TYPE_CHECKING:
    from anomflow.feedback import Adjustment, Feedback
    from anomflow.models import FittedModel
    from anomflow.spec import BatchSpec
    from anomflow.workers import Workers
    from tasks.history import Library
    from tasks.models import Pinned


@dataclass(frozen=True, eq=False)
class Judged:
    """What a score run found: SCORES, the rows to write, what the ledger is told, the metrics that failed."""

    scores: pl.DataFrame
    rows: pl.DataFrame
    judgements: Sequence[Judgements]
    failures: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Judge:
    """What judges the points of a run: the batch's rows, the pinned models, people's feedback, the workers that replay."""

    library: Library
    pinned: Pinned
    feedback: Feedback
    workers: Workers

    @property
    def spec(self) -> BatchSpec:
        """Return the batch's settings."""
        return self.library.batch.spec

    def judge(self, found: Candidates) -> Judged:
        """Score the points that await a judgement, shard by shard, and find those worth an alert."""
        awaiting, left_out = _limit_first(self.library, found.awaiting)
        parts = [null_scores(left_out, BEFORE_START)]
        failures: dict[str, str] = {}
        for shard, names in group_shards(awaiting["metric_name"].unique().sort(), len(self.pinned.models)).items():
            scores, failed = self._score(shard, _keep(Candidates(awaiting, found.rows), names))
            parts.append(scores)
            failures |= failed
        scores, judgements = _judge(self.library, pl.concat(parts), self.feedback.adjustments)
        version, decimals = self.pinned.version.version, self.spec.score.score_metric_rounding
        return Judged(scores, score_rows(scores, self.spec.name, version, decimals), judgements, failures)

    def _score(self, shard: int, found: Candidates) -> tuple[pl.DataFrame, dict[str, str]]:
        model = self.pinned.models[shard]
        plan = self._plan(shard, model, found.awaiting)
        nulls = null_scores(plan.null_rows)
        if plan.to_score.is_empty():
            return nulls, {}
        wanted = build_times(plan.to_score)
        history = read_history(self.library, sorted(plan.full)) if plan.full else found.rows.clear()
        work = ToScore(model, self._build(found.rows, plan.fresh, wanted), self._build(history, plan.full, wanted), wanted)
        scores, failures = score_shard(work, self.spec, self.workers)
        return pl.concat([fill_scores(scores), nulls]), failures

    def _plan(self, shard: int, model: FittedModel, awaiting: pl.DataFrame) -> Plan:
        """Decide for each awaiting point how it is judged."""
        names = awaiting["metric_name"].unique().to_list()
        excluded = frozenset(name for name in names if not is_scored(name, self.spec))
        ignored = find_ignored(awaiting, build_sight(self.spec, self.pinned.features))
        known = {name: state.checkpoint for name, state in model.states.items()}
        if self.pinned.features[0].freq is None:
            # All rows after the shard's checkpoint are read; one before it that awaits a judgement came late.
            known = dict.fromkeys(known, self.pinned.version.find_checkpoint(shard).timestamp())
        return build_plan(awaiting, excluded, known, ignored)

    def _build(self, rows: pl.DataFrame, names: frozenset[str], wanted: Mapping[str, Floats]) -> SeriesBatch:
        chosen = rows.filter(pl.col("metric_name").is_in(sorted(names)))
        # What is not learned is judged all the same, when its value was corrected.
        seen = build_seen(chosen, build_sight(self.spec, self.pinned.features), self.library.as_of)
        return drop_points(seen, self.feedback.points, keep=wanted)


def _keep(found: Candidates, names: list[str]) -> Candidates:
    is_kept = pl.col("metric_name").is_in(names)
    return Candidates(found.awaiting.filter(is_kept), found.rows.filter(is_kept))


def _limit_first(library: Library, awaiting: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    max_n = library.batch.spec.score.score_max_n
    if awaiting.is_empty() or awaiting["metric_name"].value_counts()["count"].max() <= max_n:  # type: ignore[operator]
        return awaiting, awaiting.clear()
    return limit_first(awaiting, read_scored_names(library), max_n)


def _judge(library: Library, scores: pl.DataFrame, adjustments: Mapping[str, Adjustment]) -> tuple[pl.DataFrame, list[Judgements]]:
    spec = library.batch.spec
    scores, anomalies = find_anomalies(scores, spec.alert, adjustments)
    flat_judged, flat = find_flatlines(scores, spec.alert)
    newest_judged, newest = find_newest(scores, spec.alert)

    def judgements(kind: str, judged: pl.DataFrame, candidates: tuple[Candidate, ...], budget: int | None = None) -> Judgements:
        return Judgements(spec.name, kind, library.as_of, judged.select(POINT), candidates, budget, spec.common.metric_tags)

    return scores, [
        judgements(ANOMALY, scores, anomalies, find_budget(spec.alert)),
        judgements(FLATLINE, flat_judged, flat),
        judgements(INFO, newest_judged, newest),
    ]
