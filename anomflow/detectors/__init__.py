"""The detectors, by the name that settings give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anomflow.detectors.states import Detector, Replay, State
from anomflow.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_DETECTOR", "DETECTORS", "Detector", "Replay", "State", "build_detector"]

DEFAULT_DETECTOR: Final = "multiview"


def _build_multiview() -> Detector:
    from anomflow.detectors.multiview import MultiView  # noqa: PLC0415 - numba takes a second to import

    return MultiView()


DETECTORS: Final[dict[str, Callable[[], Detector]]] = {DEFAULT_DETECTOR: _build_multiview}


def build_detector(name: str = DEFAULT_DETECTOR) -> Detector:
    """Build the detector of a name; raise ModelError for one that there is not."""
    if name not in DETECTORS:
        raise ModelError(f"{name!r} is not a detector; there are: {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name]()
