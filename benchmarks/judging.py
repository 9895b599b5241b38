"""Run a detector over labelled series as production does: the same scoring, threshold, snooze and budget."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from anomflow.decisions.anomaly import find_anomalies, find_budget
from anomflow.decisions.snooze import Rules, find_verdicts
from anomflow.detectors import PYOD, Choice
from anomflow.detectors.pyod_models.catalogue import ONE_COLUMN, require_model
from anomflow.detectors.pyod_models.recipe import Recipe
from anomflow.models import FittedModel
from anomflow.scoring import ScoringSpec, score_series
from anomflow.sections.alerts import AlertSpec
from anomflow.sections.common import FeatureSpec
from anomflow.sections.detector import DetectorSpec
from anomflow.series import SeriesBatch, build_series, to_timestamps
from benchmarks.anomstack import THRESHOLD, score_anomstack
from benchmarks.events import SNOOZE, thin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from anomflow.decisions.candidate import Candidate
    from benchmarks.corpus import Floats, Labelled
    from benchmarks.events import Rows

DEFAULT: Final = "default"
ANOMSTACK: Final = "anomstack"
ASKED: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)  # judged at once: no alert of a replay is late
NOTHING: Final = SeriesBatch((), np.zeros(1, np.int64), np.empty(0), np.empty(0))
WARMING_ROWS: Final = 300


@dataclass(frozen=True, eq=False)
class Told:
    """The rows that notifications were sent for, and all rows that reached the threshold."""

    told: Rows
    reached: Rows


@dataclass(frozen=True, eq=False)
class Judged:
    """What a detector says about each row (``-inf``: nothing): the onset score that alerts, the state score that lasts.

    ``by_default`` are its alerts at the default settings, ``asked`` those at so many false alarms in 30 days (none for a
    detector that knows no rate); ``cpu`` are the seconds that scoring took.
    """

    onset: Floats
    state: Floats
    by_default: Told
    asked: Mapping[float, Told]
    cpu: float


def check_detector(name: str) -> None:
    """Raise an AnomflowError or a ValueError for a detector that there is not."""
    if name not in {DEFAULT, ANOMSTACK}:
        for model in name.split("+"):
            require_model(model)


def build_choice(name: str) -> Choice:
    """Return the detector of a name: ``default``, or models of PyOD with their usual features (``PCA+KNN``)."""
    if name == DEFAULT:
        return Choice()
    models = name.split("+")
    params = {"lags_n": 0} if set(models) & ONE_COLUMN else {}
    spec = DetectorSpec.model_validate({"model_configs": [{"model_name": model} for model in models], "preprocess_params": params})
    return Choice(PYOD, Recipe(spec).options)


def judge_all(series: Sequence[Labelled], detector: str, processes: int) -> Iterator[Judged]:
    """Yield what the detector says of each series, in their order; the same on any number of processes."""
    work: Callable[[Labelled], Judged] = partial(judge, detector=detector)
    if processes == 1:
        warm(detector)
        yield from map(work, series)
        return
    context = multiprocessing.get_context("spawn")  # polars and numba do not survive a fork
    with ProcessPoolExecutor(processes, mp_context=context, initializer=warm, initargs=(detector,)) as pool:
        yield from pool.map(work, series)


def warm(detector: str) -> None:
    """Import and load what the first series of a process would be charged for."""
    seconds = 300.0 * np.arange(WARMING_ROWS)
    values = np.random.default_rng(0).normal(size=WARMING_ROWS)
    if detector == ANOMSTACK:
        score_anomstack(values)
    else:
        _score(SeriesBatch(("warming",), np.array([0, WARMING_ROWS]), seconds, values), build_choice(detector))


def judge(series: Labelled, detector: str) -> Judged:
    """Judge one series."""
    return _judge_as_anomstack(series) if detector == ANOMSTACK else _judge_as_production(series, build_choice(detector))


def _judge_as_anomstack(series: Labelled) -> Judged:
    rows = np.flatnonzero(np.isfinite(series.values))
    start = time.process_time()
    scores = score_anomstack(series.values[rows])
    cpu = time.process_time() - start
    onset = _spread(scores, rows, len(series.values))
    reached = np.flatnonzero(onset >= THRESHOLD)
    return Judged(onset, onset, Told(thin(reached, SNOOZE), reached), {}, cpu)


def _judge_as_production(series: Labelled, choice: Choice) -> Judged:
    batch, rows = _conform(series)
    start = time.process_time()
    scores = _score(batch, choice)
    cpu = time.process_time() - start
    onset = _spread(scores["anomaly"].to_numpy(), rows, len(series.values))
    state = _spread(scores["state"].to_numpy(), rows, len(series.values)) if "state" in scores.columns else onset
    asked = {rate: _find_told(scores, AlertSpec(alert_false_alarms_per_month=rate), rows) for rate in ASKED}
    return Judged(onset, state, _find_told(scores, AlertSpec(), rows), asked, cpu)


def _conform(series: Labelled) -> tuple[SeriesBatch, Rows]:
    """Return a series as training and scoring read it, and the row in the file of each of its rows."""
    columns = {"metric_name": series.name, "metric_timestamp": to_timestamps(series.seconds), "metric_value": series.values}
    batch = build_series(pl.DataFrame(columns), FeatureSpec(), "UTC", datetime.max.replace(tzinfo=UTC))
    last = {second: row for row, second in enumerate(series.seconds.tolist())}  # of rows with one time the last one counts
    return batch, np.array([last[second] for second in batch.seconds.tolist()], np.int64)


def _score(batch: SeriesBatch, choice: Choice) -> pl.DataFrame:
    model = FittedModel(detector=choice.name, options=choice.options, settings={}, fingerprint="", libraries={}, states={})
    scoring = score_series(model, NOTHING, batch, ScoringSpec())
    for name, reason in scoring.failed.items():
        raise RuntimeError(f"{name}: {reason}")
    return scoring.scores


def _find_told(scores: pl.DataFrame, spec: AlertSpec, rows: Rows) -> Told:
    _, candidates = find_anomalies(scores, spec)
    decided = find_verdicts(candidates, (), Rules(LONG_AGO, budget=find_budget(spec)))
    return Told(
        _find_rows([candidate for candidate, verdict in decided if verdict.status == "open"], scores, rows),
        _find_rows([candidate for candidate, _ in decided], scores, rows),
    )


def _find_rows(candidates: Sequence[Candidate], scores: pl.DataFrame, rows: Rows) -> Rows:
    times = pl.Series([candidate.metric_timestamp for candidate in candidates], dtype=scores.schema["metric_timestamp"])
    return np.sort(rows[scores["metric_timestamp"].search_sorted(times).to_numpy()]) if candidates else np.empty(0, np.int64)


def _spread(scores: Floats, rows: Rows, count: int) -> Floats:
    spread = np.full(count, -np.inf)
    spread[rows] = np.where(np.isnan(scores), -np.inf, scores)
    return spread
