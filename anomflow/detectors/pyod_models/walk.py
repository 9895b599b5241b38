"""Walk forward over a metric's rows: score them by the newest estimators, fit again where the count of rows says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from anomflow.detectors.floors import find_floors
from anomflow.detectors.multiview.layout import RECENT, RING
from anomflow.detectors.pyod_models.estimators import (
    dump_estimators,
    fit_estimator,
    judges_alone,
    load_estimators,
    pickle_estimators,
    score_rows,
    unpickle_estimators,
)
from anomflow.detectors.pyod_models.expectation import find_levels, find_range
from anomflow.detectors.pyod_models.layout import FIRST_FIT, METHODS, Calibrators, Judging, Rows, Verdict, find_fits, find_growing
from anomflow.detectors.pyod_models.ranking import judge, pack_memory, unpack_memory
from anomflow.detectors.states import Floats, Replay, State
from anomflow.errors import ModelError, PreprocessError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.detectors.pyod_models.recipe import Recipe

DAMPING_ROWS: Final = 30


@dataclass(eq=False)
class _Walker:
    """One metric on its way.

    ``base`` rows lie before those given; an estimator is None before the first fit; ``fitted`` is what was fitted on the way.
    """

    recipe: Recipe
    seconds: Floats
    values: Floats
    base: int
    head: NDArray[Any]
    estimators: tuple[Any, ...]
    fitted: bytes = b""
    failures: dict[str, str] = field(default_factory=dict)

    def rows(self, end: int) -> tuple[Floats, Floats]:
        """Return the rows from the beginning of the newest fit's window to a count since the origin."""
        window = self.recipe.spec.model_max_n + self.recipe.lookback
        first = max(int(self.head["fitted"][0]) - window, 0)
        part = slice(first - self.base, end - self.base)
        return self.seconds[part], self.values[part]

    def score(self, first: int, end: int) -> Floats:
        """Return the raw scores of rows, a column for each model."""
        raw = np.full((end - first, len(self.recipe.models)), np.nan)
        if all(estimator is None for estimator in self.estimators):
            return raw
        features = self.recipe.build_features(*self.rows(end), end - first)
        for m, (config, estimator) in enumerate(zip(self.recipe.models, self.estimators, strict=True)):
            if estimator is not None:
                together = judges_alone(config, features.shape[1], self.recipe.spec.model_seed)
                raw[:, m] = score_rows(estimator, features, first, (together, self.recipe.spec.model_seed))
        return raw

    def expect(self, first: int, end: int) -> Floats:
        """Return expected values and the ends of their range, a column each; NaN before the first fit."""
        expected = np.full((end - first, 3), np.nan)
        if self.head["fitted"][0] and end > first:
            levels = find_levels(self.values[: end - self.base], end - first)
            with np.errstate(over="ignore", invalid="ignore"):
                expected[:] = levels[:, None] + np.array([0.0, self.head["low"][0], self.head["high"][0]])
            expected[~np.isfinite(expected).all(axis=1)] = np.nan
        return expected

    def fit(self, count: int) -> None:
        """Fit all models on the rows up to a count; one that cannot be fitted stays as it was."""
        self.head["fitted"] = count
        seconds, values = self.rows(count)
        steps = np.diff(seconds)
        self.head["step"] = np.median(steps) if len(steps) else np.nan
        self.head["low"], self.head["high"] = find_range(values)
        self.recipe.check_features(seconds, values)
        features = self.recipe.build_features(seconds, values, len(values))
        known = features[~np.isnan(features).any(axis=1)][-self.recipe.spec.model_max_n :]
        if len(known) < FIRST_FIT:
            return
        self.failures.clear()
        fitted = [self._fit(m, known) for m in range(len(self.recipe.models))]
        # What comes back from storage is what judges: it may differ from what was fitted in the last bits.
        self.fitted = pickle_estimators(fitted, self.recipe.labels)
        self.estimators = unpickle_estimators(self.fitted)

    def _fit(self, m: int, features: Floats) -> Any:
        config = self.recipe.models[m]
        try:
            return fit_estimator(config, features, self.recipe.spec.model_seed)
        except (PreprocessError, ModelError):
            raise
        except Exception as error:  # noqa: BLE001 - few or constant rows are too little for some models, and more come
            self.failures[config.label] = f"{config.label} cannot be fitted on {len(features)} rows: {type(error).__name__}: {error}"
            return self.estimators[m]


def _open(recipe: Recipe, state: State, seconds: Floats, values: Floats) -> _Walker:
    stored = state.memory["estimators"]
    none = (None,) * len(recipe.models)
    return _Walker(
        recipe,
        np.concatenate([state.seconds, seconds]),
        np.concatenate([state.values, values]),
        state.rows - len(state.seconds),
        state.memory["head"].copy(),
        load_estimators(stored.tobytes()) if len(stored) and len(seconds) else none,
    )


def walk(recipe: Recipe, state: State, seconds: Floats, values: Floats) -> tuple[Replay, State]:
    """Judge the rows that follow a state.

    Raises ModelError where no model could be fitted, with the reasons; PreprocessError where a hook fails.
    """
    walker = _open(recipe, state, seconds, values)
    end, first = state.rows + len(seconds), state.rows
    raw, steps, expected = [], [], []
    fits = tuple(find_fits(state.rows, end, recipe.lookback))
    for stop in (*fits, end):
        raw.append(walker.score(first, stop))
        expected.append(walker.expect(first, stop))
        steps.append(np.full(stop - first, float(walker.head["step"][0]) or np.nan))
        if stop in fits and stop > first:
            walker.fit(stop)
        first = stop
    if walker.failures and all(estimator is None for estimator in walker.estimators):
        raise ModelError("; ".join(walker.failures.values()))
    verdict, memory = _judge(walker, state, np.concatenate(raw))
    floors, walker.head["least"][0] = find_floors(values, float(walker.head["least"][0]))
    ranges = np.maximum(np.concatenate(expected), floors[:, None])
    return _build_replay(verdict, np.concatenate(steps), ranges), _build_state(walker, state, seconds, (verdict, memory))


def _judge(walker: _Walker, state: State, raw: Floats) -> tuple[Verdict, dict[str, NDArray[Any]]]:
    """Rank raw scores; return what is said of the rows, and what calibrators remember after them."""
    spec, new = walker.recipe.spec, len(raw)
    calibrators = Calibrators.unpack(state.memory["calibrators"])
    memory = unpack_memory(calibrators, state.memory["remembered"], new)
    undamped = np.concatenate([state.memory["undamped"], np.zeros(new)])
    verdict = Verdict(undamped, np.full(new, np.nan), np.full(new, np.nan), np.zeros(new, np.int64), np.ascontiguousarray(raw))
    weights = np.array([model.model_weight for model in spec.model_configs])
    damping = min(max(DAMPING_ROWS, walker.recipe.lookback + 1), RECENT)
    first, last = max(state.rows, 1), state.rows + new - 1
    growing = np.array(list(find_growing(first - 1, last, walker.recipe.lookback)), np.int64)
    judging = Judging(METHODS.index(spec.model_combination_method), weights, damping, growing)
    judge(Rows(walker.values, walker.seconds, state.rows), walker.head, (calibrators, memory), judging, verdict)
    return verdict, {"calibrators": calibrators.pack(), "remembered": pack_memory(calibrators, memory)}


def _build_replay(verdict: Verdict, steps: Floats, expected: Floats) -> Replay:
    middle, low, high = np.ascontiguousarray(expected.T)
    residual = np.full(len(steps), np.nan)
    return Replay(verdict.anomaly, verdict.state, middle, low, high, steps, verdict.flat_rows, residual, verdict.surprises)


def _build_state(walker: _Walker, before: State, seconds: Floats, judged: tuple[Verdict, Mapping[str, NDArray[Any]]]) -> State:
    verdict, remembered = judged
    new = walker.values[len(walker.values) - len(seconds) :]
    stored = before.memory["estimators"]
    if walker.fitted:
        # Not those that judged meanwhile: some keep what they were asked last.
        stored = np.frombuffer(dump_estimators(unpickle_estimators(walker.fitted), walker.recipe.labels), np.uint8)
    return State(
        rows=before.rows + len(seconds),
        origin=before.origin,
        checkpoint=float(seconds[-1]) if len(seconds) else before.checkpoint,
        checksum=before.checksum_with(seconds, new),
        seconds=walker.seconds[-RING:].copy(),
        values=walker.values[-RING:].copy(),
        anomalies=np.concatenate([before.anomalies, verdict.anomaly])[-RECENT:],
        memory={"head": walker.head, "undamped": verdict.undamped[-RECENT:].copy(), "estimators": stored, **remembered},
    )
