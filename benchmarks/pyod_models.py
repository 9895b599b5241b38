"""Cost of models of PyOD by name: one metric with each model, many metrics with two usual settings.

    python benchmarks/pyod_models.py [METRICS]

Rows are 2,500 of ten minutes. Times are CPU seconds of one core, without the imports; a model's cost is that of its
second metric, since the first one of a process compiles and imports.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from anomflow.detectors import Choice, Detector, build_detector
from anomflow.detectors.pyod_models.catalogue import ONE_COLUMN, find_model, usable_models
from anomflow.detectors.pyod_models.recipe import Recipe
from anomflow.fitting import FitSpec, fit_model
from anomflow.model_bytes import dump, load, object_name
from anomflow.scoring import ScoringSpec, score_series
from anomflow.sections.common import FeatureSpec
from anomflow.sections.detector import DetectorSpec
from anomflow.series import SeriesBatch

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 2500
NEW = 17
START = 1_704_067_200.0
EMPTY = SeriesBatch((), np.zeros(1, np.int64), np.empty(0), np.empty(0))


def measure(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def make_values(rows: int, seed: int) -> np.ndarray:
    return 5 * np.sin(2 * np.pi * np.arange(rows) * 600.0 / 86_400) + np.random.RandomState(seed).normal(size=rows)


def choose(*names: str) -> Choice:
    params = {"lags_n": 0} if set(names) & ONE_COLUMN else {}
    configs = [{"model_name": name} for name in names]
    return Choice("pyod", Recipe(DetectorSpec(model_configs=configs, model_combination_method="mean", preprocess_params=params)).options)


def build(choice: Choice) -> Detector:
    return build_detector(choice.name, choice.options)


def one_metric(name: str) -> None:
    detector, values = build(choose(name)), make_values(ROWS + 1, 1)
    seconds = START + 600.0 * np.arange(ROWS + 1)
    detector.advance(None, seconds[:200], values[:200])
    cost = measure(lambda: detector.advance(None, seconds[:-1], values[:-1]))
    _, state = detector.advance(None, seconds[:-1], values[:-1])
    live = min(measure(lambda: detector.advance(state, seconds[-1:], values[-1:])) for _ in range(3))
    size = sum(array.nbytes for array in state.memory.values()) / 1000
    print(f"| {name} | {cost / ROWS * 1e6:.0f} | {live * 1e3:.1f} | {size:.0f} |", flush=True)


def make_batch(metrics: int, first: int, rows: int) -> SeriesBatch:
    return SeriesBatch(
        names=tuple(f"metric {i:05d}" for i in range(metrics)),
        offsets=np.arange(metrics + 1) * rows,
        seconds=np.tile(START + 600.0 * np.arange(first, first + rows), metrics),
        values=np.concatenate([make_values(first + rows, i)[first:] for i in range(metrics)]),
    )


def many_metrics(metrics: int, *names: str) -> None:
    spec = FitSpec(FeatureSpec(), choice=choose(*names))
    history, new, longer = make_batch(metrics, 0, ROWS), make_batch(metrics, ROWS, NEW), make_batch(metrics, 0, ROWS + NEW)
    fit_model(None, make_batch(1, 0, ROWS), spec)
    first = measure(lambda: fit_model(None, history, spec))
    content = dump(fit_model(None, history, spec)[0])
    name = object_name(content)
    again = measure(lambda: fit_model(load(content, name), longer, spec))
    score = measure(lambda: score_series(load(content, name), new, EMPTY, ScoringSpec()))
    parts = (first, again, score)
    print(f"| {' + '.join(names)} | {' | '.join(f'{part / metrics * 1e3:.1f}' for part in parts)} | {len(content) / metrics / 1e3:.0f} |")


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print("| models | first training, ms a metric | training with 17 new rows | scoring of 17 rows | KB |\n|---|---|---|---|---|")
    many_metrics(count, "KNN")
    many_metrics(count, "PCA", "KNN")
    print("\n| model | us a row, first training | ms, one new row | KB |\n|---|---|---|---|")
    for each in usable_models():
        if not find_model(each).missing:
            one_metric(each)
