"""The CPU's share: fit and score whole shards, never metric by metric."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from anomflow.backtest.selection import build_selector
from anomflow.choices import describe_choices
from anomflow.decisions.names import matches
from anomflow.fitting import COLD_START, FitReport, FitSpec, fit_model
from anomflow.models import FittedModel
from anomflow.scoring import ScoringSpec, score_series
from anomflow.series import Floats, SeriesBatch, metric_shard, select_series
from anomflow.sight import find_periods
from tasks.effects import effect

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.spec import BatchSpec


@dataclass(frozen=True)
class Fitted:
    """The models of all shards, and what became of each metric."""

    models: Mapping[int, FittedModel]
    continued: int = 0
    rebuilt: int = 0
    cold: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def is_trained(name: str, spec: BatchSpec) -> bool:
    """Tell whether the settings let a metric be learned."""
    include, exclude = spec.train.train_include_metrics, spec.train.train_exclude_metrics
    return (not include or matches(name, include)) and not matches(name, exclude)


@effect("fit")
def fit_shards(series: SeriesBatch, previous: Mapping[int, FittedModel], batch: Batch) -> Fitted:
    """Continue or rebuild the states of all metrics; one that fails is named, and keeps nobody up."""
    spec = batch.spec
    shards = spec.models.shards
    wanted = [name for name in series.names if is_trained(name, spec)]
    by_shard = {shard: [name for name in wanted if metric_shard(name, shards) == shard] for shard in range(shards)}
    train, threads = spec.train, os.cpu_count() or 1
    selector, missing = build_selector(batch.alternatives, train.train_min_n)
    features = spec.features, spec.common.timezone, train.train_max_n, train.train_min_n
    fit = FitSpec(*features, batch.detector, threads, find_periods(spec), selector)
    usable = previous if len(previous) == shards else {}
    pairs = {shard: fit_model(usable.get(shard), select_series(series, names), fit) for shard, names in by_shard.items()}
    models, reports = {shard: model for shard, (model, _) in pairs.items()}, [report for _, report in pairs.values()]
    return replace(_sum_up(models, reports), notes=tuple(describe_choices(models.values(), reports, missing)))


def _sum_up(models: Mapping[int, FittedModel], reports: list[FitReport]) -> Fitted:
    skipped = {name: reason for report in reports for name, reason in report.skipped.items()}
    return Fitted(
        models,
        continued=sum(len(report.continued) for report in reports),
        rebuilt=sum(len(report.rebuilt) for report in reports),
        cold=sum(reason == COLD_START for reason in skipped.values()),
        failures={name: reason for name, reason in skipped.items() if reason != COLD_START},
    )


@dataclass(frozen=True, eq=False)
class ToScore:
    """Metrics to replay from their states (``fresh``) and from scratch (``full``).

    ``wanted`` holds the times (epoch seconds) of the rows to tell of, by metric.
    """

    models: Mapping[int, FittedModel]
    fresh: SeriesBatch
    full: SeriesBatch
    wanted: Mapping[str, Floats]


@effect("score")
def score_shards(work: ToScore, spec: BatchSpec) -> tuple[pl.DataFrame, dict[str, str]]:
    """Score the wanted rows of the given series; return SCORES and the metrics that failed, with the reason."""
    shards = len(work.models)
    scoring = ScoringSpec(spec.alert.alert_snooze_n, spec.alert.alert_smooth_n, spec.train.train_min_n, work.wanted)
    frames: list[pl.DataFrame] = []
    failures: dict[str, str] = {}
    for shard, model in work.models.items():
        fresh = select_series(work.fresh, [name for name in work.fresh.names if metric_shard(name, shards) == shard])
        full = select_series(work.full, [name for name in work.full.names if metric_shard(name, shards) == shard])
        scoring_of_shard = score_series(model, fresh, full, scoring)
        frames.append(scoring_of_shard.scores)
        failures |= scoring_of_shard.failed
    return pl.concat(frames), failures
