"""From points that await a judgement to score rows and judgements: which replay each metric needs, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from anomflow.decisions.anomaly import find_anomalies, find_budget
from anomflow.decisions.candidate import ANOMALY, FLATLINE, INFO, Candidate, Judgements
from anomflow.decisions.flatline import find_flatlines
from anomflow.decisions.names import matches
from anomflow.decisions.newest import find_newest
from anomflow.ingestion import POINT
from anomflow.judging import BEFORE_START, Plan, build_plan, fill_scores, limit_first, null_scores, score_rows
from anomflow.series import Floats, SeriesBatch, build_times, drop_points
from anomflow.sight import build_seen, build_sight, find_ignored
from tasks.detection import ToScore, is_trained, score_shards
from tasks.history import read_history, read_scored_names

if TYPE_CHECKING:
    from anomflow.feedback import Adjustment, Feedback
    from anomflow.spec import BatchSpec
    from tasks.history import Candidates, Library
    from tasks.models import Pinned


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan, the rows after the states' checkpoints, and the points that a first scoring leaves out."""

    plan: Plan
    rows: pl.DataFrame
    left_out: pl.DataFrame


def plan_points(library: Library, pinned: Pinned, found: Candidates) -> Planned:
    """Decide for each awaiting point how it is judged."""
    spec = library.batch.spec
    awaiting, left_out = _limit_first(library, found.awaiting)
    names = awaiting["metric_name"].unique().to_list()
    excluded = frozenset(name for name in names if not _is_scored(name, spec))
    ignored = find_ignored(awaiting, build_sight(spec, pinned.features))
    return Planned(build_plan(awaiting, excluded, _checkpoints(pinned), ignored), found.rows, left_out)


def _limit_first(library: Library, awaiting: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    max_n = library.batch.spec.score.score_max_n
    if awaiting.is_empty() or awaiting["metric_name"].value_counts()["count"].max() <= max_n:  # type: ignore[operator]
        return awaiting, awaiting.clear()
    return limit_first(awaiting, read_scored_names(library), max_n)


def _is_scored(name: str, spec: BatchSpec) -> bool:
    include, exclude = spec.score.score_include_metrics, spec.score.score_exclude_metrics
    return is_trained(name, spec) and (not include or matches(name, include)) and not matches(name, exclude)


def _checkpoints(pinned: Pinned) -> Mapping[str, float]:
    """Return up to when (epoch seconds) nothing is missing of each metric that a state knows."""
    states = {name: state.checkpoint for model in pinned.models.values() for name, state in model.states.items()}
    if pinned.features[0].freq is not None:
        return states
    # All rows after the version's checkpoint are read; one before it that awaits a judgement came late.
    return dict.fromkeys(states, pinned.version.checkpoint.timestamp())


@dataclass(frozen=True, eq=False)
class Judged:
    """What a score run found: SCORES, the rows to write, what the ledger is told, the metrics that failed."""

    scores: pl.DataFrame
    rows: pl.DataFrame
    judgements: Sequence[Judgements]
    failures: Mapping[str, str]


def judge_points(library: Library, pinned: Pinned, planned: Planned, feedback: Feedback) -> Judged:
    """Score the planned points and find those worth an alert."""
    scores, failures = _score(library, pinned, planned, feedback.points)
    scores, judgements = _judge(library, scores, feedback.adjustments)
    spec = library.batch.spec
    return Judged(scores, score_rows(scores, spec.name, pinned.version.version, spec.score.score_metric_rounding), judgements, failures)


def _score(library: Library, pinned: Pinned, planned: Planned, forgotten: Mapping[str, Floats]) -> tuple[pl.DataFrame, dict[str, str]]:
    spec, plan = library.batch.spec, planned.plan
    nulls = [null_scores(plan.null_rows), null_scores(planned.left_out, BEFORE_START)]
    if plan.to_score.is_empty():
        return pl.concat(nulls), {}

    sight = build_sight(spec, pinned.features)

    def build(rows: pl.DataFrame, names: frozenset[str]) -> SeriesBatch:
        chosen = rows.filter(pl.col("metric_name").is_in(sorted(names)))
        # What is not learned is judged all the same, when its value was corrected.
        return drop_points(build_seen(chosen, sight, library.as_of), forgotten, keep=wanted)

    wanted = build_times(plan.to_score)
    history = read_history(library, sorted(plan.full)) if plan.full else planned.rows.clear()
    scores, failures = score_shards(ToScore(pinned.models, build(planned.rows, plan.fresh), build(history, plan.full), wanted), spec)
    return pl.concat([fill_scores(scores), *nulls]), failures


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
