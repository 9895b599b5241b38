"""How production would judge the metrics of a batch, for a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomflow.backtest.replay import NO_SERIES, ReplaySpec
from anomflow.backtest.selection import build_selector
from anomflow.fitting import FitSpec, fit_model
from anomflow.scoring import ScoringSpec

if TYPE_CHECKING:
    from anomflow.batches import Batch


def build_replay_spec(batch: Batch) -> ReplaySpec:
    """Return how production would judge the metrics of a batch."""
    spec = batch.spec
    fit = FitSpec(spec.features, spec.common.timezone, spec.train.train_max_n, spec.train.train_min_n, batch.detector)
    scoring = ScoringSpec(spec.alert.alert_snooze_n, spec.alert.alert_smooth_n, spec.train.train_min_n)
    selector, _ = build_selector(batch.alternatives, spec.train.train_min_n)
    return ReplaySpec(fit_model(None, NO_SERIES, fit)[0], scoring, spec.train.train_max_n, selector)
