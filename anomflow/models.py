"""Fitted models: the states of a batch's metrics, and what they were made with."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from anomflow.detectors import Choice, State, build_detector
from anomflow.errors import CorruptModelError
from anomflow.sections.common import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

LIBRARIES: Final = ("numba", "numpy", "polars", "pyod", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Chosen:
    """The detector of a metric by its label, the rows that it was chosen by (0: too few to choose), and what decided."""

    label: str
    rows: int = 0
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, eq=False)
class FittedModel:
    """The states of metrics by name, and what they were made with.

    ``settings`` are those that the features were made with (see ``feature_settings``); ``fingerprint`` changes with them
    and with the detector, its options and its code; ``libraries`` are versions by name.

    Where each metric has a detector of its own, ``chosen`` tells which; a label that ``alternatives`` have not is that of
    ``detector``.
    """

    detector: str
    settings: Mapping[str, object]
    fingerprint: str
    libraries: Mapping[str, str]
    states: Mapping[str, State]
    options: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Chosen] = field(default_factory=dict)
    alternatives: Mapping[str, Choice] = field(default_factory=dict)

    @property
    def origin(self) -> float | None:
        """Return the earliest origin of a metric in epoch seconds (UTC), None without metrics."""
        return min((state.origin for state in self.states.values()), default=None)

    @property
    def checkpoint(self) -> float | None:
        """Return the latest checkpoint of a metric in epoch seconds (UTC), None without metrics."""
        return max((state.checkpoint for state in self.states.values()), default=None)


def split_model(model: FittedModel) -> dict[str, FittedModel]:
    """Return the models of one detector each that a model is made of, by label: the default's (an empty label) first."""
    labels = {name: chosen.label for name, chosen in model.chosen.items() if chosen.label in model.alternatives}
    parts = {"": Choice(model.detector, model.options), **{label: model.alternatives[label] for label in sorted(set(labels.values()))}}
    return {
        label: FittedModel(
            choice.name,
            model.settings,
            model.fingerprint,
            model.libraries,
            {name: state for name, state in model.states.items() if labels.get(name, "") == label},
            choice.options,
        )
        for label, choice in parts.items()
    }


def keep_metrics(model: FittedModel, names: Collection[str]) -> FittedModel:
    """Return the model of some of the metrics; names that it does not know are left out."""
    states = {name: model.states[name] for name in names if name in model.states}
    return replace(model, states=states, chosen={name: model.chosen[name] for name in states if name in model.chosen})


def merge_models(models: Sequence[FittedModel]) -> FittedModel:
    """Return the model of all metrics of models that were made with the same settings, of which each knows others."""
    states = {name: state for model in models for name, state in model.states.items()}
    return replace(models[0], states=states, chosen={name: chosen for model in models for name, chosen in model.chosen.items()})


def feature_settings(features: FeatureSpec, timezone: str) -> dict[str, object]:
    """Return the settings that decide what a detector sees, as they are stored with a model; durations in seconds."""
    stored = {key: value.total_seconds() if isinstance(value, timedelta) else value for key, value in features.model_dump().items()}
    return {**stored, "timezone": timezone}


def load_features(settings: Mapping[str, object]) -> tuple[FeatureSpec, str]:
    """Return features and time zone from a model's stored settings; raise CorruptModelError where they are none."""
    features = dict(settings)
    timezone = features.pop("timezone", None)
    try:
        return FeatureSpec.model_validate(features), str(timezone)
    except ValueError as error:
        raise CorruptModelError(f"the model's settings are not those of features: {error}. Train again.") from error


def fingerprint(features: FeatureSpec, timezone: str, choice: Choice | None = None) -> str:
    """Return a hash of all that makes a stored state usable: features, time zone of their buckets, detector, its options, its code."""
    chosen = choice or Choice()
    version = build_detector(chosen.name, chosen.options).version
    parts = {**feature_settings(features, timezone), "detector": chosen.name, "options": chosen.options, "version": version}
    return sha256(render_json(parts)).hexdigest()[:32]


def library_versions() -> dict[str, str]:
    """Return the versions of what computes scores."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def render_json(content: object) -> bytes:
    """Render facts of a model as JSON, the same bytes for the same content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
