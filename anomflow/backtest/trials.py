"""What would have been found: anomalies injected into quiet stretches of history, judged by the state of that moment."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anomflow.backtest.deciding import find_candidates
from anomflow.backtest.replay import NO_SERIES, ReplaySpec, find_segments
from anomflow.backtest.shapes import LARGEST, SHAPES, SMALLEST, Stretch, find_noise, inject
from anomflow.detectors import build_detector
from anomflow.frames import UTC
from anomflow.models import FittedModel
from anomflow.scoring import score_series
from anomflow.series import SeriesBatch, to_timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anomflow.detectors import State
    from anomflow.feedback import Adjustment
    from anomflow.sections.alerts import AlertSpec

Floats = NDArray[np.float64]
Metric = tuple[str, Floats, Floats]

# One row a trial: `rows` is the length of the stretch, `delay_rows` how many rows after its first one the first alert
# came (0: at once), null where none came.
TRIALS: Final[dict[str, pl.DataType]] = {
    "metric_name": pl.String(),
    "metric_timestamp": UTC,
    "shape": pl.String(),
    "rows": pl.Int64(),
    "delay_rows": pl.Int64(),
    "delay_seconds": pl.Float64(),
}
SEED: Final = 5
LEAST_ROWS: Final = 100
_SHORTEST: Final = 24
LONGEST: Final = 288
_DAY: Final = 86_400.0
_NO_NAMES: Final[dict[str, Any]] = {"alert_include_metrics": (), "alert_exclude_metrics": ()}


@dataclass(frozen=True, eq=False)
class TrialSpec:
    """How to try a metric: how rows are judged and what alerts, at how many places, over how many rows at most.

    ``adjustment`` is what feedback makes of its threshold.
    """

    replay: ReplaySpec
    alert: AlertSpec
    places: int
    longest: int = LONGEST
    adjustment: Adjustment | None = None


def choose_metrics(series: SeriesBatch, trials: int) -> dict[str, int]:
    """Return how many places to try of which metrics, ``trials`` in all: of all metrics that are long enough, else of some.

    The choice goes by a hash of the name, so that it is the same whatever the neighbours are called.
    """
    long = [name for name, seconds, _ in series if len(seconds) >= LEAST_ROWS]
    chosen = sorted(long, key=lambda name: (_seed(name), name))[:trials]
    return {name: trials // len(chosen) + (at < trials % len(chosen)) for at, name in enumerate(chosen)}


def _seed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


def run_trials(metric: Metric, busy: pl.Series, spec: TrialSpec) -> pl.DataFrame:
    """Inject every shape at each place of a metric and return TRIALS; ``busy`` are the times of its candidates (UTC)."""
    name, seconds, values = metric
    rng = np.random.default_rng([SEED, _seed(name)])
    rows = min(_choose_length(seconds), spec.longest)
    starts = _choose_starts((seconds, busy), (rows, max(spec.replay.scoring.min_n, LEAST_ROWS // 2)), rng)[: spec.places]
    found = []
    for start, state, model in _find_states(metric, sorted(starts.tolist()), spec.replay):
        size = float(rng.uniform(SMALLEST, LARGEST)) * find_noise(values[:start])
        stretch = Stretch(values[start : start + rows], float(values[start - 1]), size, rng.standard_normal(rows))
        found.append(_try_shapes((seconds[start : start + rows], stretch, state), model, spec).with_columns(metric_name=pl.lit(name)))
    return pl.concat([*found, pl.DataFrame(schema=TRIALS)])


def _choose_length(seconds: Floats) -> int:
    """Return the rows of a day, within bounds."""
    step = float(np.median(np.diff(seconds)))
    return int(np.clip(round(_DAY / step), _SHORTEST, LONGEST))


def _choose_starts(rows: tuple[Floats, pl.Series], sizes: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return places in the second half, where no alert is near that the metric has anyhow, in random order."""
    (seconds, busy), (length, least) = rows, sizes
    loud = np.zeros(len(seconds) + 1, np.int64)
    loud[1:] = np.cumsum(np.isin(seconds, busy.to_physical().to_numpy() / 1e6))
    starts = np.arange(max(least, len(seconds) // 2), len(seconds) - length + 1)
    quiet = starts[loud[starts + length] == loud[starts]]
    return rng.permutation(quiet)


def _find_states(metric: Metric, starts: list[int], spec: ReplaySpec) -> Iterator[tuple[int, State, FittedModel]]:
    """Yield the state before each of the ascending places, continued from one to the next of the same origin, and whose it is."""
    _, seconds, values = metric
    for segment in find_segments(len(seconds), spec.max_n, spec.due):
        tried = [start for start in starts if segment.first <= start < segment.end]
        model = spec.find_model(metric, segment) if tried else spec.model
        detector = build_detector(model.detector, model.options)
        state, known = None, segment.origin
        for start in tried:
            if start > known:
                state, known = detector.advance(state, seconds[known:start], values[known:start])[1], start
            if state is not None:
                yield start, state, model


def _try_shapes(place: tuple[Floats, Stretch, State], model: FittedModel, spec: TrialSpec) -> pl.DataFrame:
    """Judge all shapes of one place together, as metrics that share a state."""
    seconds, stretch, state = place
    shapes = sorted(SHAPES)
    known: Mapping[str, State] = dict.fromkeys(shapes, state)
    changed = SeriesBatch(
        tuple(shapes),
        np.arange(len(shapes) + 1, dtype=np.int64) * len(seconds),
        np.tile(seconds, len(shapes)),
        np.concatenate([inject(shape, stretch) for shape in shapes]),
    )
    stated = FittedModel(model.detector, model.settings, model.fingerprint, model.libraries, known, model.options)
    scores = score_series(stated, changed, NO_SERIES, spec.replay.scoring).scores
    adjustments = {} if spec.adjustment is None else dict.fromkeys(shapes, spec.adjustment)
    candidates = find_candidates(scores, spec.alert.model_copy(update=_NO_NAMES), adjustments)[1]
    first: dict[str, float] = {}
    for candidate in candidates:
        moment = candidate.metric_timestamp.timestamp()
        first[candidate.metric_name] = min(first.get(candidate.metric_name, moment), moment)
    delays = [first[shape] - float(seconds[0]) if shape in first else None for shape in shapes]
    late = [None if shape not in first else int(np.searchsorted(seconds, first[shape] - 1e-6)) for shape in shapes]
    columns = {"shape": shapes, "rows": len(seconds), "delay_rows": late, "delay_seconds": delays}
    begin = to_timestamps(np.repeat(seconds[:1], len(shapes)))
    return pl.DataFrame({"metric_name": None, "metric_timestamp": begin, **columns}, schema=TRIALS)


def sum_up_trials(trials: pl.DataFrame) -> pl.DataFrame:
    """Return ``shape``, ``trials``, ``found``, ``recall`` and the median delay of those found, in rows and in seconds."""
    found = pl.col("delay_rows").is_not_null()
    return (
        trials.group_by("shape")
        .agg(
            pl.len().cast(pl.Int64).alias("trials"),
            found.sum().cast(pl.Int64).alias("found"),
            found.mean().alias("recall"),
            pl.col("delay_rows").median(),
            pl.col("delay_seconds").median(),
        )
        .sort(pl.col("shape").replace_strict(list(SHAPES), list(range(len(SHAPES))), default=len(SHAPES)))
    )
