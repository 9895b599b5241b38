"""Which models a metric is judged by, on which features: what a stored model carries along to be used as it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anomflow.features import build_features
from anomflow.preprocessing import PreprocessHook, build_hook_features, check_causal
from anomflow.sections.detector import DetectorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.sections.detector import ModelConfig

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """The settings of a combination of models, and the preprocess function that replaces the usual features."""

    spec: DetectorSpec
    hook: PreprocessHook | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Recipe:
        """Read what ``options`` wrote; raise ValueError for something else."""
        hook = options.get("hook")
        return cls(DetectorSpec.model_validate(options["spec"]), None if hook is None else PreprocessHook(**hook))

    @property
    def options(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        hook = self.hook
        stored = None if hook is None else {"source": hook.source, "filename": hook.filename, "line": hook.line}
        return {"spec": self.spec.model_dump(mode="json", exclude={"preprocess_fn", "model_selection"}), "hook": stored}

    @property
    def models(self) -> tuple[ModelConfig, ...]:
        """Return the models."""
        return self.spec.model_configs

    @property
    def labels(self) -> tuple[str, ...]:
        """Return what the models are called in messages."""
        return tuple(model.label for model in self.models)

    @property
    def lookback(self) -> int:
        """Return how many rows before a row its features need; those of a hook decide themselves."""
        return 0 if self.hook is not None else self.spec.preprocess_params.lookback

    def build_features(self, seconds: Floats, values: Floats, new: int) -> Floats:
        """Return the features of the newest ``new`` rows.

        A hook sees all rows given, which begin at a row that depends on the newest fit only.
        """
        if self.hook is not None:
            return build_hook_features(self.hook, (seconds, values), self.spec.preprocess_params.model_dump())[len(seconds) - new :]
        start = max(len(values) - new - self.lookback, 0)
        return build_features(values[start:], self.spec.preprocess_params)[len(values) - start - new :]

    def check_features(self, seconds: Floats, values: Floats) -> None:
        """Raise PreprocessError where a hook looks ahead."""
        if self.hook is not None:
            check_causal(self.hook, (seconds, values), self.spec.preprocess_params.model_dump())
