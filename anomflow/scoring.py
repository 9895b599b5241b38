"""Scoring: what the detector says about rows, as the frame that decisions are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anomflow.calibration import anomaly_score, surprise
from anomflow.detectors import Detector, Replay, State, build_detector
from anomflow.fitting import COLD_START
from anomflow.frames import SCORES
from anomflow.models import FittedModel, split_model
from anomflow.series import SeriesBatch, select_series, to_timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Floats = NDArray[np.float64]

_NONE: Final = np.empty(0)
_JOINED: Final = ("seconds", "values", "anomaly", "cold", "snooze_from", "snooze_until")


@dataclass(frozen=True)
class ScoringSpec:
    """How to score: rows that a snooze spans on either side, rows of the trailing mean (0 or 1: off), rows needed for the first score.

    ``wanted`` holds, by metric, the times (epoch seconds) of the rows to tell of; None: all that are judged.
    """

    snooze_n: int = 10
    smooth_n: int = 0
    min_n: int = 20
    wanted: Mapping[str, Floats] | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Scoring:
    """The scores of a run (``frames.SCORES``, by name and time; ``threshold`` is left null), and the metrics without.

    ``failed`` maps names to errors; ``unknown`` are metrics that the model has no state of.
    """

    scores: pl.DataFrame
    failed: Mapping[str, str]
    unknown: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Judged:
    """One metric's scored rows."""

    seconds: Floats
    values: Floats
    replay: Replay
    anomaly: Floats
    cold: NDArray[np.bool_]
    snooze_from: Floats
    snooze_until: Floats


def score_series(model: FittedModel | None, fresh: SeriesBatch, full: SeriesBatch, spec: ScoringSpec) -> Scoring:
    """Judge the rows of ``fresh`` after their state's checkpoint, and all rows of ``full`` from scratch.

    A metric of ``fresh`` that the model does not know is judged from scratch as well; one that is in both counts as full.
    Each metric is judged by the detector that the model has for it.
    """
    parts: Mapping[str, FittedModel | None] = {"": None} if model is None else split_model(model)
    others = {name for label, part in parts.items() if label and part is not None for name in part.states}
    scorings = []
    for label, part in parts.items():
        mine = set(part.states) if label and part is not None else {*fresh.names, *full.names} - others
        scorings.append(_score_part(part, _keep(fresh, mine), _keep(full, mine), spec))
    return scorings[0] if len(scorings) == 1 else _join(scorings)


def _keep(series: SeriesBatch, names: set[str]) -> SeriesBatch:
    return series if names.issuperset(series.names) else select_series(series, [name for name in series.names if name in names])


def _join(scorings: Sequence[Scoring]) -> Scoring:
    scores = pl.concat([scoring.scores for scoring in scorings]).sort("metric_name", "metric_timestamp", maintain_order=True)
    failed = {name: reason for scoring in scorings for name, reason in scoring.failed.items()}
    return Scoring(scores, dict(sorted(failed.items())), tuple(sorted(name for scoring in scorings for name in scoring.unknown)))


def _score_part(model: FittedModel | None, fresh: SeriesBatch, full: SeriesBatch, spec: ScoringSpec) -> Scoring:
    detector = build_detector(model.detector, model.options) if model is not None else build_detector()
    states = model.states if model is not None else {}
    judged: dict[str, _Judged] = {}
    failed: dict[str, str] = {}
    for name, (state, seconds, values) in sorted(_select(states, fresh, full).items()):
        try:
            judged[name] = _pick(_judge(detector, state, (seconds, values), spec), name, spec)
        except Exception as error:  # noqa: BLE001 - one bad metric is one bad metric, whatever a detector raises
            failed[name] = f"{type(error).__name__}: {error}"
    unknown = tuple(sorted({*fresh.names, *full.names} - set(states)))
    return Scoring(_assemble(detector, judged), failed, unknown)


def _select(states: Mapping[str, State], fresh: SeriesBatch, full: SeriesBatch) -> dict[str, tuple[State | None, Floats, Floats]]:
    return {**dict(_after_checkpoint(states, fresh)), **{name: (None, seconds, values) for name, seconds, values in full}}


def _after_checkpoint(states: Mapping[str, State], fresh: SeriesBatch) -> Iterator[tuple[str, tuple[State | None, Floats, Floats]]]:
    for name, seconds, values in fresh:
        state = states.get(name)
        first = 0 if state is None else int(np.searchsorted(seconds, state.checkpoint, side="right"))
        if first < len(seconds):
            yield name, (state, seconds[first:], values[first:])


def _judge(detector: Detector, state: State | None, rows: tuple[Floats, Floats], spec: ScoringSpec) -> _Judged:
    seconds, values = rows
    replay, _ = detector.advance(state, seconds, values)
    before = 0 if state is None else state.rows
    anomaly = smooth(_NONE if state is None else state.anomalies, replay.anomaly, spec.smooth_n)
    snooze_from, snooze_until = _snooze_windows(_NONE if state is None else state.seconds, seconds, spec.snooze_n)
    cold = (before + np.arange(len(seconds)) < spec.min_n) | np.isnan(anomaly)
    return _Judged(seconds, values, replay, anomaly, cold, snooze_from, snooze_until)


def _pick(judged: _Judged, name: str, spec: ScoringSpec) -> _Judged:
    """Keep the wanted rows only, right away: a first scoring replays thousands of rows of each metric for a few."""
    if spec.wanted is None:
        return judged
    rows = np.isin(judged.seconds, spec.wanted.get(name, _NONE))
    return _Judged(replay=judged.replay.pick(rows), **{part: getattr(judged, part)[rows] for part in _JOINED})


def smooth(earlier: Floats, anomalies: Floats, rows: int) -> Floats:
    """Return the trailing mean of ``rows`` scores, those of ``earlier`` rows included, fewer where there are fewer; NaN stays NaN.

    Sums run from new to old, so that the bits do not depend on where ``earlier`` ends.
    """
    if rows <= 1:
        return anomalies
    scores = np.concatenate([earlier[-(rows - 1) :], anomalies])
    known = ~np.isnan(scores)
    filled = np.where(known, scores, 0.0)
    total, count = np.zeros(len(scores)), np.zeros(len(scores))
    for back in range(min(rows, len(scores))):
        total[back:] += filled[: len(scores) - back]
        count[back:] += known[: len(scores) - back]
    means = np.divide(total, count, out=np.full(len(scores), np.nan), where=known)
    trailing: Floats = means[len(scores) - len(anomalies) :]
    return trailing


def _snooze_windows(earlier: Floats, seconds: Floats, rows: int) -> tuple[Floats, Floats]:
    count = len(seconds)
    rows = min(rows, len(earlier) + count)  # a snooze longer than the history takes no more memory than it
    nothing = np.full(rows, np.nan)
    known = np.concatenate([nothing, earlier, seconds])
    return known[len(known) - rows - count : len(known) - rows], np.concatenate([seconds, nothing])[rows:]


def _assemble(detector: Detector, judged: Mapping[str, _Judged]) -> pl.DataFrame:
    if not judged:
        return pl.DataFrame(schema=SCORES)
    parts = list(judged.values())
    replay = Replay.join([part.replay for part in parts])
    joined = {field: np.concatenate([getattr(part, field) for part in parts]) for field in _JOINED}
    anomaly, cold = joined["anomaly"], joined["cold"]
    metric = np.repeat(np.arange(len(parts)), [len(part.seconds) for part in parts])
    said = {
        "anomaly": anomaly,
        "state": replay.state,
        "anomaly_score": anomaly_score(anomaly),
        "surprise": surprise(anomaly),
        "expected": replay.expected,
        "expected_low": replay.expected_low,
        "expected_high": replay.expected_high,
    }
    columns = {
        "metric_name": pl.Series(list(judged), dtype=pl.String).gather(metric),
        "metric_timestamp": to_timestamps(joined["seconds"]),
        "metric_value": joined["values"],
        **{name: np.where(cold, np.nan, numbers) for name, numbers in said.items()},
        "threshold": None,
        "reason": pl.Series([None, COLD_START], dtype=pl.String).gather(cold.astype(np.int64)),
        "explanation": detector.explain(replay).set(pl.Series(cold), None),
        "flat_rows": replay.flat_rows,
        "step_seconds": replay.step_seconds,
        "snooze_from": to_timestamps(joined["snooze_from"]),
        "snooze_until": to_timestamps(joined["snooze_until"]),
    }
    frame = pl.DataFrame(columns).select(pl.col(name).cast(dtype) for name, dtype in SCORES.items())
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))
