"""Training: continue each metric's state over its new rows, or rebuild it where what it rests on has changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from anomflow.detectors import Choice, Detector, State, build_detector
from anomflow.detectors.states import checksum
from anomflow.models import FittedModel, feature_settings, fingerprint, library_versions
from anomflow.sight import Sight, is_touched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from anomflow.periods import Period
    from anomflow.series import SeriesBatch
    from anomflow.spec import FeatureSpec

Floats = NDArray[np.float64]
_Metric = tuple[str, Floats, Floats]

COLD_START: Final = "cold_start"
DEFAULT_CHOICE: Final = Choice()


@dataclass(frozen=True)
class FitSpec:
    """How to train: what the series were made with, and how many rows a rebuilt state starts from and needs at least.

    ``periods`` are those whose rows the series lack; a state that knows any of them is rebuilt.
    ``threads`` metrics are replayed at a time; the result does not depend on it.
    """

    features: FeatureSpec
    timezone: str = "UTC"
    max_n: int = 10_000
    min_n: int = 20
    choice: Choice = DEFAULT_CHOICE
    threads: int = 1
    periods: tuple[Period, ...] = ()


@dataclass(frozen=True)
class FitReport:
    """What became of each metric: continued, rebuilt (why), skipped (``cold_start`` or the error), dropped for lack of rows."""

    continued: tuple[str, ...]
    rebuilt: Mapping[str, str]
    skipped: Mapping[str, str]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class _Outcome:
    state: State | None
    reason: str | None  # why rebuilt, or why there is no state; None: continued


def fit_model(previous: FittedModel | None, series: SeriesBatch, spec: FitSpec) -> tuple[FittedModel, FitReport]:
    """Return the model of all metrics with enough rows, and what became of each.

    A state is continued from its checkpoint when settings, code and its rows are unchanged and no more than ``2 * max_n``
    rows lie since its origin; else it is rebuilt from the newest ``max_n`` rows. Rows that left the window of ``series``
    are no change. A metric that raises is reported and stops no other.
    """
    stamp = fingerprint(spec.features, spec.timezone, spec.choice)
    known = previous.states if previous is not None else {}
    usable = previous is not None and previous.fingerprint == stamp
    detector = build_detector(spec.choice.name, spec.choice.options)

    def fit(metric: _Metric) -> _Outcome:
        name, *rows = metric
        state = known.get(name)
        reason = "new" if state is None else "settings or code changed" if not usable else _find_reason(name, state, rows, spec)
        return _rebuild(detector, rows, spec, reason) if state is None or reason is not None else _continue(detector, state, rows)

    outcomes = dict(zip(series.names, _map(fit, series, spec.threads), strict=True))
    model = FittedModel(
        detector=spec.choice.name,
        options=spec.choice.options,
        settings=feature_settings(spec.features, spec.timezone),
        fingerprint=stamp,
        libraries=library_versions(),
        states={name: outcome.state for name, outcome in outcomes.items() if outcome.state is not None},
    )
    return model, _report(outcomes, dropped=tuple(sorted(set(known) - set(outcomes))))


def _find_reason(name: str, state: State, rows: Sequence[Floats], spec: FitSpec) -> str | None:
    reason = find_change(state, rows, spec.max_n)
    if reason is not None or not spec.periods or rows[0][0] <= state.origin:
        return reason
    # What left the beginning of the series may have done so for its age, or because it is ignored now.
    known = np.append(state.origin, state.seconds)
    return "rows that it knows are ignored" if is_touched(name, known, Sight(spec.features, spec.timezone, spec.periods)) else None


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


def _rebuild(detector: Detector, rows: Sequence[Floats], spec: FitSpec, reason: str | None) -> _Outcome:
    seconds, values = (part[-spec.max_n :] for part in rows)
    if len(seconds) < spec.min_n:
        return _Outcome(None, COLD_START)
    return _attempt(lambda: _Outcome(detector.advance(None, seconds, values)[1], reason))


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
    )
