"""Series for the tests of the detection room: made by a formula and a frozen generator, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from anomflow.detectors import Detector, build_detector

if TYPE_CHECKING:
    from collections.abc import Callable

MONDAY = 1_704_067_200.0  # 2024-01-01 00:00 UTC


@dataclass(frozen=True)
class Made:
    seconds: np.ndarray
    values: np.ndarray

    def __getitem__(self, rows: slice) -> Made:
        return Made(self.seconds[rows], self.values[rows])

    def __len__(self) -> int:
        return len(self.values)


def make_series(rows: int, step: float, seed: int = 1) -> Made:
    """A daily course with noise whose level wanders, a spike at two thirds, a shift at five sixths."""
    noise = np.random.RandomState(seed).normal(size=rows)
    seconds = MONDAY + np.arange(rows) * step
    wander = np.zeros(rows)
    for i in range(1, rows):
        wander[i] = 0.9 * wander[i - 1] + 0.3 * noise[i]
    values = 100 + 8 * np.sin(2 * np.pi * seconds / 86_400) + 2 * np.sin(2 * np.pi * seconds / 604_800) + wander + 0.5 * noise[::-1]
    values[rows * 2 // 3] += 25
    values[rows * 5 // 6 :] += 6
    return Made(seconds, np.round(values, 3))


@pytest.fixture(scope="session")
def make() -> Callable[..., Made]:
    return make_series


@pytest.fixture(scope="session")
def detector() -> Detector:
    return build_detector()


@pytest.fixture(scope="session")
def five_minutes() -> Made:
    return make_series(3000, 300.0)
