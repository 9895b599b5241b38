"""Detectors of PyOD for tests."""

from __future__ import annotations

from typing import Any

from anomflow.detectors import Detector, build_detector
from anomflow.detectors.pyod_models.recipe import Recipe
from anomflow.preprocessing import PreprocessHook
from anomflow.sections.detector import DetectorSpec


def options_of(*models: str, hook: str | None = None, **settings: Any) -> dict[str, Any]:
    spec = DetectorSpec(model_configs=tuple({"model_name": name} for name in models), **settings)  # type: ignore[arg-type]
    return Recipe(spec, None if hook is None else PreprocessHook(hook, "hook.py")).options


def detector_of(*models: str, hook: str | None = None, **settings: Any) -> Detector:
    return build_detector("pyod", options_of(*models, hook=hook, **settings))
