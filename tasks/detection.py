"""The CPU's share: fit and score the metrics of a slice, shard by shard, never metric by metric."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from anomflow.backtest.selection import build_selector
from anomflow.decisions.names import is_trained
from anomflow.fitting import FitReport, FitSpec, fit_model
from anomflow.models import FittedModel, keep_metrics
from anomflow.scoring import ScoringSpec, score_series
from anomflow.series import Floats, SeriesBatch, select_series
from anomflow.sight import find_periods
from anomflow.slicing import group_shards
from anomflow.workers import Workers, choose_workers, divide

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.spec import BatchSpec


def build_fit(batch: Batch) -> tuple[FitSpec, Mapping[str, str]]:
    """Return how a batch is fitted, and the candidates of a selection that are not installed, with the reason."""
    spec, train = batch.spec, batch.spec.train
    selector, missing = build_selector(batch.alternatives, train.train_min_n)
    features = spec.features, spec.common.timezone, train.train_max_n, train.train_min_n
    return FitSpec(*features, batch.detector, periods=find_periods(spec), selector=selector), missing


@dataclass(frozen=True, eq=False)
class Piece:
    """The model of some metrics of a shard, and what became of each."""

    shard: int
    model: FittedModel
    report: FitReport


def fit_slice(series: SeriesBatch, previous: Mapping[int, FittedModel], batch: Batch, workers: Workers) -> Iterator[Piece]:
    """Continue or rebuild the states of metrics, and yield them by shard; one that fails is named, and keeps nobody up."""
    spec = batch.spec
    chosen = choose_workers(workers, len(series.values))
    fit = replace(build_fit(batch)[0], threads=(os.cpu_count() or 1) if chosen.count == 1 else 1)
    groups = group_shards((name for name in series.names if is_trained(name, spec)), spec.models.shards)
    usable = previous if len(previous) == spec.models.shards else {}
    for shard, names in groups.items():
        model = usable.get(shard)
        calls = [
            (None if model is None else keep_metrics(model, part), select_series(series, part), fit) for part in divide(names, chosen.count)
        ]
        yield from (Piece(shard, *fitted) for fitted in chosen.map(fit_model, calls))


@dataclass(frozen=True, eq=False)
class ToScore:
    """Metrics of a shard to replay from their states (``fresh``) and from scratch (``full``).

    ``wanted`` holds the times (epoch seconds) of the rows to tell of, by metric.
    """

    model: FittedModel
    fresh: SeriesBatch
    full: SeriesBatch
    wanted: Mapping[str, Floats]


def score_shard(work: ToScore, spec: BatchSpec, workers: Workers) -> tuple[pl.DataFrame, dict[str, str]]:
    """Score the wanted rows of the given series; return SCORES and the metrics that failed, with the reason."""
    chosen = choose_workers(workers, len(work.fresh.values) + len(work.full.values))
    names = sorted({*work.fresh.names, *work.full.names})
    calls = [_select(work, part, spec) for part in divide(names, chosen.count) or [[]]]
    scorings = chosen.map(score_series, calls)
    failures = {name: reason for scoring in scorings for name, reason in scoring.failed.items()}
    return pl.concat([scoring.scores for scoring in scorings]), failures


def _select(work: ToScore, names: Sequence[str], spec: BatchSpec) -> tuple[FittedModel, SeriesBatch, SeriesBatch, ScoringSpec]:
    wanted = {name: work.wanted[name] for name in names if name in work.wanted}
    scoring = ScoringSpec(spec.alert.alert_snooze_n, spec.alert.alert_smooth_n, spec.train.train_min_n, wanted)
    return keep_metrics(work.model, names), select_series(work.fresh, names), select_series(work.full, names), scoring
