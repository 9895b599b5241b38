"""Training: continue each metric's state over its new rows, or rebuild it where what it rests on has changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from anomflow.detectors import Choice, Detector, State, build_detector
from anomflow.detectors.states import checksum
from anomflow.models import Chosen, FittedModel, feature_settings, fingerprint, library_versions
from anomflow.sight import Sight, is_touched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from anomflow.periods import Period
    from anomflow.sections.common import FeatureSpec
    from anomflow.series import SeriesBatch

Floats = NDArray[np.float64]
_Metric = tuple[str, Floats, Floats]

COLD_START: Final = "cold_start"
DEFAULT_CHOICE: Final = Choice()


class Selector(Protocol):
    """Choose the detector of a metric by its rows."""

    @property
    def least_rows(self) -> int:
        """Return how many rows a choice needs."""
        ...

    @property
    def alternatives(self) -> Mapping[str, Choice]:
        """Return the detectors that may be chosen instead of the default one, by label."""
        ...

    @property
    def stamp(self) -> str:
        """Identify how it chooses; other choices are made anew."""
        ...

    def choose(self, name: str, seconds: Floats, values: Floats) -> Chosen:
        """Choose by the rows of a metric; the same rows give the same choice."""
        ...


@dataclass(frozen=True)
class FitSpec:
    """How to train: what the series were made with, and how many rows a rebuilt state starts from and needs at least.

    ``periods`` are those whose rows the series lack; a state that knows any of them is rebuilt. ``threads`` metrics are
    replayed at a time; the result does not depend on it. ``choice`` judges all metrics, or with a ``selector`` those that
    it chooses nothing else for.
    """

    features: FeatureSpec
    timezone: str = "UTC"
    max_n: int = 10_000
    min_n: int = 20
    choice: Choice = DEFAULT_CHOICE
    threads: int = 1
    periods: tuple[Period, ...] = ()
    selector: Selector | None = None

    @property
    def choices(self) -> dict[str, Choice]:
        """Return the detectors that may judge a metric, by label."""
        return {self.choice.name: self.choice, **(self.selector.alternatives if self.selector is not None else {})}


@dataclass(frozen=True)
class FitReport:
    """What became of each metric: continued, rebuilt (why), skipped (``cold_start`` or the error), dropped for lack of rows.

    ``chosen`` are the choices that were made now.
    """

    continued: tuple[str, ...]
    rebuilt: Mapping[str, str]
    skipped: Mapping[str, str]
    dropped: tuple[str, ...]
    chosen: Mapping[str, Chosen]


@dataclass(frozen=True)
class _Outcome:
    state: State | None
    reason: str | None  # why rebuilt, or why there is no state; None: continued
    chosen: Chosen | None = None


def fit_model(previous: FittedModel | None, series: SeriesBatch, spec: FitSpec) -> tuple[FittedModel, FitReport]:
    """Return the model of all metrics with enough rows, and what became of each.

    A state is continued from its checkpoint when settings, code and its rows are unchanged and no more than ``2 * max_n``
    rows lie since its origin; else it is rebuilt from the newest ``max_n`` rows. Rows that left the window of ``series``
    are no change. A metric that raises is reported and stops no other. A selector chooses when a state is rebuilt, which it
    also is when there are enough rows to choose for the first time.
    """
    stamp = _stamp(spec)
    known = previous.states if previous is not None else {}
    held = previous.chosen if previous is not None else {}
    usable = previous is not None and previous.fingerprint == stamp
    detectors = {label: build_detector(choice.name, choice.options) for label, choice in spec.choices.items()}

    def fit(metric: _Metric) -> _Outcome:
        name, *rows = metric
        state = known.get(name)
        if state is None or not usable:
            return _rebuild(detectors, metric, spec, "new" if state is None else "settings or code changed")
        reason = _find_reason(name, state, rows, spec) or _find_due(held.get(name), rows, spec)
        if reason is not None:
            return _rebuild(detectors, metric, spec, reason)
        return _continue_chosen(detectors, (state, held.get(name)), metric, spec)

    outcomes = dict(zip(series.names, _map(fit, series, spec.threads), strict=True))
    model = FittedModel(
        detector=spec.choice.name,
        options=spec.choice.options,
        settings=feature_settings(spec.features, spec.timezone),
        fingerprint=stamp,
        libraries=library_versions(),
        states={name: outcome.state for name, outcome in outcomes.items() if outcome.state is not None},
        chosen={name: outcome.chosen for name, outcome in outcomes.items() if outcome.state is not None and outcome.chosen is not None},
        alternatives=spec.selector.alternatives if spec.selector is not None else {},
    )
    return model, _report(outcomes, dropped=tuple(sorted(set(known) - set(outcomes))))


def _find_reason(name: str, state: State, rows: Sequence[Floats], spec: FitSpec) -> str | None:
    reason = find_change(state, rows, spec.max_n)
    if reason is not None or not spec.periods or rows[0][0] <= state.origin:
        return reason
    # What left the beginning of the series may have done so for its age, or because it is ignored now.
    known = np.append(state.origin, state.seconds)
    return "rows that it knows are ignored" if is_touched(name, known, Sight(spec.features, spec.timezone, spec.periods)) else None


def _stamp(spec: FitSpec) -> str:
    stamp = fingerprint(spec.features, spec.timezone, spec.choice)
    if spec.selector is None:
        return stamp
    others = [(label, fingerprint(spec.features, spec.timezone, choice)) for label, choice in sorted(spec.selector.alternatives.items())]
    return sha256(repr((stamp, others, spec.selector.stamp)).encode()).hexdigest()[:32]


def _find_due(chosen: Chosen | None, rows: Sequence[Floats], spec: FitSpec) -> str | None:
    """Say why a detector is to be chosen for a metric that is judged by the default one for lack of rows."""
    if spec.selector is None or (chosen is not None and chosen.rows):
        return None
    return "it has enough rows to choose a detector" if min(len(rows[0]), spec.max_n) >= spec.selector.least_rows else None


def find_change(state: State, rows: Sequence[Floats], max_n: int) -> str | None:
    """Say why a state cannot be continued over a metric's rows, None where it can."""
    seconds, values = rows
    start = int(np.searchsorted(seconds, state.origin))
    seen = int(np.searchsorted(seconds, state.checkpoint, side="right"))
    if start > 0 and len(seconds) - start < max_n:
        return "rows before its first one arrived"
    if not _is_unchanged(state, seconds[start:seen], values[start:seen]):
        return "rows that it knows changed"
    if state.rows + len(seconds) - seen > 2 * max_n:
        return "its history grew to twice train_max_n"
    return None


def _is_unchanged(state: State, seconds: Floats, values: Floats) -> bool:
    if len(seconds) == state.rows:
        return checksum(seconds, values) == state.checksum
    # Retention or the window of training took the oldest rows away: the others must be those that the state keeps.
    kept = len(seconds)
    in_memory = 0 < kept <= len(state.seconds) and seconds[0] > state.origin
    return in_memory and np.array_equal(seconds, state.seconds[-kept:]) and np.array_equal(values, state.values[-kept:])


def _continue(detector: Detector, state: State, rows: Sequence[Floats]) -> _Outcome:
    seconds, values = rows
    new = seconds > state.checkpoint
    return _attempt(lambda: _Outcome(detector.advance(state, seconds[new], values[new])[1], None)) if new.any() else _Outcome(state, None)


def _continue_chosen(detectors: Mapping[str, Detector], held: tuple[State, Chosen | None], metric: _Metric, spec: FitSpec) -> _Outcome:
    """Continue a state by the detector that made it; where a chosen one fails, rebuild by the default one."""
    state, chosen = held
    label = spec.choice.name if chosen is None else chosen.label
    outcome = _continue(detectors[label], state, metric[1:])
    if outcome.state is None and chosen is not None and label != spec.choice.name:
        return _fall_back(detectors[spec.choice.name], (metric, chosen), spec, str(outcome.reason))
    return replace(outcome, chosen=chosen)


def _rebuild(detectors: Mapping[str, Detector], metric: _Metric, spec: FitSpec, reason: str) -> _Outcome:
    name, seconds, values = metric
    seconds, values = seconds[-spec.max_n :], values[-spec.max_n :]
    if len(seconds) < spec.min_n:
        return _Outcome(None, COLD_START)
    chosen = None if spec.selector is None else spec.selector.choose(name, seconds, values)
    label = spec.choice.name if chosen is None else chosen.label
    outcome = _attempt(lambda: _Outcome(detectors[label].advance(None, seconds, values)[1], reason, chosen))
    if outcome.state is None and chosen is not None and label != spec.choice.name:
        return _fall_back(detectors[spec.choice.name], (metric, chosen), spec, str(outcome.reason))
    return outcome


def _fall_back(detector: Detector, held: tuple[_Metric, Chosen], spec: FitSpec, failure: str) -> _Outcome:
    """Rebuild by the default detector, and keep what failed as evidence."""
    (_, seconds, values), chosen = held
    failed = {**chosen.evidence.get("failed", {}), chosen.label: failure}
    told = Chosen(spec.choice.name, chosen.rows, {**chosen.evidence, "failed": failed})
    seconds, values = seconds[-spec.max_n :], values[-spec.max_n :]
    return _attempt(lambda: _Outcome(detector.advance(None, seconds, values)[1], f"{chosen.label} failed", told))


def _attempt(fit: Callable[[], _Outcome]) -> _Outcome:
    try:
        return fit()
    except Exception as error:  # noqa: BLE001 - one bad metric is one bad metric, whatever a detector raises
        return _Outcome(None, f"{type(error).__name__}: {error}")


def _map(fit: Callable[[_Metric], _Outcome], series: Iterable[_Metric], threads: int) -> list[_Outcome]:
    if threads == 1:
        return [fit(metric) for metric in series]
    with ThreadPoolExecutor(threads) as pool:  # kernels let go of the interpreter's lock
        return list(pool.map(fit, series))


def _report(outcomes: Mapping[str, _Outcome], dropped: tuple[str, ...]) -> FitReport:
    return FitReport(
        continued=tuple(name for name, outcome in outcomes.items() if outcome.reason is None),
        rebuilt={name: outcome.reason for name, outcome in outcomes.items() if outcome.state is not None and outcome.reason is not None},
        skipped={name: outcome.reason for name, outcome in outcomes.items() if outcome.state is None and outcome.reason is not None},
        dropped=dropped,
        chosen={name: outcome.chosen for name, outcome in outcomes.items() if outcome.chosen is not None and outcome.reason is not None},
    )
