"""History judged row by row as production judges it: the rows of a metric from its origin on, which moves on as it does there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from anomflow.frames import SCORES
from anomflow.scoring import Scoring, ScoringSpec, score_series
from anomflow.series import Floats, SeriesBatch, select_series, to_timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from anomflow.detectors import Choice
    from anomflow.fitting import Selector
    from anomflow.models import FittedModel

NO_SERIES = SeriesBatch((), np.zeros(1, np.int64), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Segment:
    """Rows that one origin judges: those from ``first`` to ``end`` (exclusive), replayed from ``origin`` on."""

    origin: int
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class ReplaySpec:
    """What judges the rows: a model without states, how it scores, ``train_max_n``, and what chooses a detector for each metric."""

    model: FittedModel
    scoring: ScoringSpec
    max_n: int
    selector: Selector | None = None

    @property
    def due(self) -> int:
        """Return how many rows a metric has when its detector is chosen for the first time; 0: it never is."""
        return self.selector.least_rows if self.selector is not None and self.selector.least_rows <= self.max_n else 0

    def find_model(self, metric: tuple[str, np.ndarray, np.ndarray], segment: Segment) -> FittedModel:
        """Return what judges the rows of a segment: what training chose by the rows before it."""
        name, seconds, values = metric
        if self.selector is None or not self.due or segment.first - segment.origin < self.due:
            return self.model
        rows = slice(segment.origin, segment.first)
        chosen = self.selector.choose(name, seconds[rows], values[rows])
        return replace(self.model, **_read_choice(self.selector.alternatives.get(chosen.label)))


def _read_choice(choice: Choice | None) -> dict[str, Any]:
    return {} if choice is None else {"detector": choice.name, "options": choice.options}


def find_segments(rows: int, max_n: int, due: int = 0) -> Iterator[Segment]:
    """Yield the segments of a metric: training moves the origin on when more than ``2 * max_n`` rows lie since it.

    With ``due`` another segment begins after so many rows, from the same origin: there training chooses a detector.
    """
    first = origin = 0
    if 0 < due < rows:
        yield Segment(origin, first, due)
        first = due
    while first < rows:
        end = min(rows, origin + 2 * max_n + 1)
        yield Segment(origin, first, end)
        first, origin = end, end - max_n


def replay_scores(series: SeriesBatch, spec: ReplaySpec) -> Scoring:
    """Judge every row of every metric from the rows before it; a metric that raises is named and stops no other."""
    least = spec.due or 2 * spec.max_n + 1
    long = [name for name, seconds, _ in series if len(seconds) > least]
    short = select_series(series, [name for name in series.names if name not in set(long)])
    scorings = [score_series(spec.model, NO_SERIES, short, spec.scoring)]
    scorings += [_replay_long(metric, spec) for metric in select_series(series, long)]
    scores = pl.concat([scoring.scores for scoring in scorings]).sort("metric_name", "metric_timestamp")
    failed = {name: reason for scoring in scorings for name, reason in scoring.failed.items()}
    return Scoring(scores, dict(sorted(failed.items())), ())


def _replay_long(metric: tuple[str, np.ndarray, np.ndarray], spec: ReplaySpec) -> Scoring:
    name, seconds, values = metric
    parts: list[pl.DataFrame] = []
    for segment in find_segments(len(seconds), spec.max_n, spec.due):
        rows = slice(segment.origin, segment.end)
        piece = SeriesBatch((name,), np.array([0, segment.end - segment.origin]), seconds[rows], values[rows])
        model = spec.find_model(metric, segment)
        scoring = score_series(model, NO_SERIES, piece, spec.scoring)
        if scoring.failed and model.detector != spec.model.detector:
            scoring = score_series(spec.model, NO_SERIES, piece, spec.scoring)
        if scoring.failed:
            return Scoring(pl.DataFrame(schema=SCORES), scoring.failed, ())
        parts.append(scoring.scores[segment.first - segment.origin :])
    return Scoring(pl.concat(parts), {}, ())


def replay_forgotten(series: SeriesBatch, points: Mapping[str, Floats], spec: ReplaySpec) -> pl.DataFrame:
    """Judge the rows at some times (epoch seconds, by metric) as when they came, each run of them forgotten after its judgement."""
    scores = [pl.DataFrame(schema=SCORES)]
    for name, seconds, values in select_series(series, list(points)):
        is_forgotten = np.isin(seconds, points[name])
        for first, end in _find_runs(is_forgotten):
            chosen = np.flatnonzero(~is_forgotten[:end] | (np.arange(end) >= first))[-2 * spec.max_n :]
            piece = SeriesBatch((name,), np.array([0, len(chosen)]), seconds[chosen], values[chosen])
            wanted = replace(spec.scoring, wanted={name: seconds[first:end]})
            scores.append(score_series(spec.model, NO_SERIES, piece, wanted).scores)
    return pl.concat(scores)


def _find_runs(marked: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the first row and the end (exclusive) of each run of marked rows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def find_times(series: SeriesBatch) -> pl.DataFrame:
    """Return metric_name and the first and the last time (UTC) of each metric, and how many ``rows`` it has."""
    counts = np.diff(series.offsets)
    return pl.DataFrame(
        {
            "metric_name": pl.Series(series.names, dtype=pl.String),
            "first": to_timestamps(series.seconds[series.offsets[:-1]]),
            "last": to_timestamps(series.seconds[series.offsets[1:] - 1]),
            "rows": counts,
        }
    )
