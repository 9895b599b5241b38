"""The detectors, by the name that settings give them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from anomflow.detectors.states import Detector, Replay, State
from anomflow.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "PYOD", "Choice", "Detector", "Replay", "State", "build_detector"]

DEFAULT_DETECTOR: Final = "multiview"
PYOD: Final = "pyod"


@dataclass(frozen=True)
class Choice:
    """A detector by name, and the options that it is built with; only data, so that a stored model carries it along."""

    name: str = DEFAULT_DETECTOR
    options: Mapping[str, Any] = field(default_factory=dict)


def _build_multiview(options: Mapping[str, Any]) -> Detector:
    from anomflow.detectors.multiview import MultiView  # noqa: PLC0415 - only batches that use it need it

    return MultiView(options)


def _build_pyod(options: Mapping[str, Any]) -> Detector:
    from anomflow.detectors.pyod_models import PyodModels  # noqa: PLC0415 - only batches that name a model need it

    return PyodModels(options)


DETECTORS: Final[dict[str, Callable[[Mapping[str, Any]], Detector]]] = {DEFAULT_DETECTOR: _build_multiview, PYOD: _build_pyod}


def build_detector(name: str = DEFAULT_DETECTOR, options: Mapping[str, Any] | None = None) -> Detector:
    """Build the detector of a name with its options; raise ModelError for one that there is not."""
    if name not in DETECTORS:
        raise ModelError(f"{name!r} is not a detector; there are: {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name](options or {})
