"""The detector of a metric, chosen by what each would have found of anomalies injected into the metric's own past."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from anomflow.backtest.deciding import find_candidates
from anomflow.backtest.replay import ReplaySpec, replay_scores
from anomflow.backtest.trials import TrialSpec, run_trials
from anomflow.detectors import Choice, build_detector
from anomflow.errors import MissingDependencyError, ModelError
from anomflow.frames import UTC
from anomflow.models import Chosen, FittedModel
from anomflow.scoring import ScoringSpec
from anomflow.sections.alerts import AlertSpec
from anomflow.series import SeriesBatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from anomflow.decisions.candidate import Candidate

    Floats = NDArray[np.float64]

LEAST_ROWS: Final = 300
MOST_ROWS: Final = 1500
PLACES: Final = 10
LEAST_PLACES: Final = 5
LONGEST: Final = 48  # rows of a trial's stretch
ERRORS: Final = 2.5  # standard errors of the paired difference that an alternative must be better by
MARGIN: Final = 0.02
# Not the batch's: a choice is part of the model, which other settings of alerts do not rebuild.
ALERT: Final = AlertSpec()
_STAMP: Final = f"injection 1 {LEAST_ROWS} {MOST_ROWS} {PLACES} {LEAST_PLACES} {LONGEST} {ERRORS} {MARGIN}"


@dataclass(frozen=True, eq=False)
class _Trier:
    """A detector that judged a metric's past: how, and what it alerted on."""

    replay: ReplaySpec
    candidates: tuple[Candidate, ...]

    @property
    def alarms(self) -> int:
        """Count the alerts of the past, without those that the snooze holds back."""
        count, last = 0, None
        for candidate in sorted(self.candidates, key=lambda candidate: candidate.metric_timestamp):
            if last is None or candidate.snooze_from is None or last < candidate.snooze_from:
                count, last = count + 1, candidate.metric_timestamp
        return count


@dataclass(frozen=True, eq=False)
class InjectionSelector:
    """Choose between the default detector and alternatives (see ``anomflow.fitting.Selector``); ``min_n`` rows are not judged.

    An alternative is chosen where its credit for the anomalies found, at the same places and of the same sizes, exceeds that
    of the default detector by more than ``ERRORS`` standard errors of the paired difference, and its alerts in the past are not
    more beyond chance. The best of several wins. Everything else, and failing, is the default detector.
    """

    alternatives: Mapping[str, Choice]
    default: Choice = field(default_factory=Choice)
    min_n: int = 20
    least_rows: int = LEAST_ROWS
    stamp: str = _STAMP

    def choose(self, name: str, seconds: Floats, values: Floats) -> Chosen:
        """Choose by the newest rows of a metric; the places and sizes depend on its name and the rows only."""
        if len(seconds) < self.least_rows:
            return Chosen(self.default.name)
        metric = name, seconds[-MOST_ROWS:], values[-MOST_ROWS:]
        failed: dict[str, str] = {}
        triers = self._judge_past(metric, failed)
        earned = _find_credits(metric, triers, failed)
        gains = _compare(earned, {label: trier.alarms for label, trier in triers.items()}, self.default.name)
        better = {label: gain["gain"] for label, gain in gains.items() if gain["better"]}
        label = max(sorted(better), key=lambda label: better[label]) if better else self.default.name
        return Chosen(label, len(seconds), {"compared": gains, **({"failed": failed} if failed else {})})

    def _judge_past(self, metric: tuple[str, Floats, Floats], failed: dict[str, str]) -> dict[str, _Trier]:
        name, seconds, values = metric
        series = SeriesBatch((name,), np.array([0, len(seconds)]), seconds, values)
        triers = {}
        for label, choice in {self.default.name: self.default, **self.alternatives}.items():
            model = FittedModel(choice.name, {}, "", {}, {}, choice.options)
            replay = ReplaySpec(model, ScoringSpec(ALERT.alert_snooze_n, ALERT.alert_smooth_n, self.min_n), len(seconds))
            scoring = replay_scores(series, replay)
            if scoring.failed:
                failed[label] = scoring.failed[name]
            else:
                triers[label] = _Trier(replay, find_candidates(scoring.scores, ALERT)[1])
        return triers


def _find_credits(metric: tuple[str, Floats, Floats], triers: Mapping[str, _Trier], failed: dict[str, str]) -> dict[str, pl.DataFrame]:
    """Return what each detector earns at each place: 1 for an anomaly found at once, half of it at the end of its stretch."""
    busy = pl.Series([candidate.metric_timestamp for trier in triers.values() for candidate in trier.candidates], dtype=UTC)
    earned = {}
    for label, trier in triers.items():
        try:
            trials = run_trials(metric, busy, TrialSpec(trier.replay, ALERT, PLACES, LONGEST))
        except Exception as error:  # noqa: BLE001 - one bad candidate is one bad candidate, whatever a detector raises
            failed[label] = f"{type(error).__name__}: {error}"
            continue
        credit = (1 - pl.col("delay_rows") / (2 * pl.col("rows"))).fill_null(0.0).alias(label)
        earned[label] = trials.group_by("metric_timestamp").agg(credit.mean()).sort("metric_timestamp")
    return earned


def _compare(earned: Mapping[str, pl.DataFrame], alarms: Mapping[str, int], default: str) -> dict[str, dict[str, Any]]:
    if default not in earned:
        return {}
    others = [label for label in earned if label != default]
    return {label: _find_gain(earned[default], earned[label], (alarms[default], alarms[label])) for label in others}


def _find_gain(default: pl.DataFrame, other: pl.DataFrame, alarms: Sequence[int]) -> dict[str, Any]:
    """Return the mean difference of credits, its standard error, alerts of the past, and whether all that speaks for the other one."""
    paired = default.join(other, on="metric_timestamp")
    one, two = (paired.to_series(column).to_numpy() for column in (1, 2))
    places = len(one)
    gain = float(np.mean(two - one)) if places else 0.0
    error = float(np.std(two - one, ddof=1)) / math.sqrt(places) if places > 1 else 0.0
    quiet = alarms[1] <= alarms[0] + 2 * math.sqrt(alarms[0] + 1)
    better = places >= LEAST_PLACES and gain > max(ERRORS * error, MARGIN) and quiet
    return {"gain": round(gain, 4), "error": round(error, 4), "places": places, "alarms": list(alarms), "better": better}


def build_selector(alternatives: Mapping[str, Choice], min_n: int) -> tuple[InjectionSelector | None, dict[str, str]]:
    """Return what chooses among the default detector and alternatives, and those that cannot be built here, with the reason.

    Without an alternative there is nothing to choose.
    """
    usable, missing = {}, {}
    for label, choice in alternatives.items():
        try:
            build_detector(choice.name, choice.options)
        except (ModelError, MissingDependencyError) as error:
            missing[label] = str(error)
        else:
            usable[label] = choice
    return (InjectionSelector(usable, min_n=min_n) if usable else None), missing
