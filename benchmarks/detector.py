"""Cost of the default detector: microseconds a row, training and live scoring of many metrics.

    python benchmarks/detector.py [METRICS]

METRICS (default 100) are trained over 2,500 rows each; figures for 1,000 are scaled from them. Times are CPU seconds
of one core. The last column of a row is a ratio to the replay of 10,000 rows at five minutes in the same run.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from anomflow.detectors import build_detector
from anomflow.fitting import FitSpec, fit_model
from anomflow.model_bytes import dump, load, object_name
from anomflow.scoring import ScoringSpec, score_series
from anomflow.sections.common import FeatureSpec
from anomflow.series import SeriesBatch

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 2500
START = 1_704_067_200.0


def measure(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def make_values(rows: int, step: float, seed: int) -> np.ndarray:
    seconds = np.arange(rows) * step
    return 5 * np.sin(2 * np.pi * seconds / 86_400) + np.random.RandomState(seed).normal(size=rows)


def make_batch(metrics: int, first: int, rows: int) -> SeriesBatch:
    seconds = START + 300.0 * np.arange(first, first + rows)
    return SeriesBatch(
        names=tuple(f"metric {i:05d}" for i in range(metrics)),
        offsets=np.arange(metrics + 1) * rows,
        seconds=np.tile(seconds, metrics),
        values=np.concatenate([make_values(first + rows, 300.0, i)[first:] for i in range(metrics)]),
    )


def replay_costs() -> float:
    detector = build_detector()
    reference = 0.0
    for step, rows in ((300.0, 10_000), (60.0, 10_000), (300.0, 20_000), (3600.0, 2500), (86_400.0, 700)):
        seconds, values = START + np.arange(rows) * step, make_values(rows, step, 0)
        cost = min(measure(lambda s=seconds, v=values: detector.advance(None, s, v)) for _ in range(3)) / rows * 1e6
        reference = reference or cost
        print(f"replay {rows:>6} rows at {step:>6.0f} s   {cost:7.1f} us/row   x {cost / reference:.2f}")
    return reference


def batch_costs(metrics: int, reference: float) -> None:
    history, new = make_batch(metrics, 0, ROWS), make_batch(metrics, ROWS, 1)
    empty = SeriesBatch((), np.zeros(1, np.int64), np.empty(0), np.empty(0))
    spec = FitSpec(FeatureSpec())
    model, _ = fit_model(None, history, spec)
    content = dump(model)
    name = object_name(content)
    costs = {
        f"train from scratch, {ROWS} rows": measure(lambda: fit_model(None, history, spec)),
        "train again, nothing new": measure(lambda: fit_model(model, history, spec)),
        "dump": measure(lambda: dump(model)),
        "load": measure(lambda: load(content, name)),
        "score one new row": measure(lambda: score_series(load(content, name), new, empty, ScoringSpec())),
    }
    for what, cost in costs.items():
        print(f"{what:<36} {cost / metrics * 1000:8.2f} s per 1,000 metrics   x {cost / metrics / (reference * 1e-6):.0f} rows")
    print(f"model: {len(content) / metrics / 1000:.0f} KB a metric")


if __name__ == "__main__":
    build_detector().advance(None, np.arange(64.0), np.zeros(64))
    batch_costs(int(sys.argv[1]) if len(sys.argv) > 1 else 100, replay_costs())
