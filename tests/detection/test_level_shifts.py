"""A level that changes and stays: told at once, then it is the new normal, in which the next incident is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from anomflow.calibration import threshold
from benchmarks.events import thin

if TYPE_CHECKING:
    from anomflow.detectors import Detector

SNOOZE = 10
SERIES = 3


@dataclass(frozen=True)
class Shifted:
    """Rows of a step in seconds, the row that the level changes at, and the rows from there on that may alert."""

    step: float
    rows: int
    at: int
    settling: int
    season: int


CLOCKS = [
    pytest.param(Shifted(300.0, 3600, 2000, 288, 288), id="5 minutes"),
    pytest.param(Shifted(3600.0, 3160, 1000, 24, 24), id="1 hour, three months"),
    pytest.param(Shifted(86_400.0, 290, 200, 20, 7), id="1 day, three months"),
]


def find_alerts(detector: Detector, shifted: Shifted, values: np.ndarray) -> np.ndarray:
    replay, _ = detector.advance(None, 1_704_067_200.0 + shifted.step * np.arange(len(values)), values)
    return thin(np.flatnonzero(replay.anomaly >= threshold(shifted.step, 2.0)), SNOOZE) - shifted.at


def make_values(shifted: Shifted, seed: int, size: float) -> np.ndarray:
    rows = np.arange(shifted.rows)
    noise = np.random.default_rng(seed).normal(size=shifted.rows)
    return 2 * np.sin(2 * np.pi * rows / shifted.season) + noise + size * (rows >= shifted.at)


@pytest.mark.parametrize("shifted", CLOCKS)
@pytest.mark.parametrize("size", [6.0, 10.0])
def test_a_level_that_stays_alerts_at_once_and_is_learned_within_a_day(detector: Detector, shifted: Shifted, size: float) -> None:
    found, late, usual = 0, 0, 0
    for seed in range(SERIES):
        alerts = find_alerts(detector, shifted, make_values(shifted, seed, size))
        before = find_alerts(detector, shifted, make_values(shifted, seed, 0.0))
        found += bool(((alerts >= 0) & (alerts < SNOOZE)).any())
        late += int((alerts >= shifted.settling).sum())
        usual += int((before >= shifted.settling).sum())
    assert found == SERIES
    assert late <= usual + 3


@pytest.mark.parametrize("shifted", CLOCKS)
def test_an_incident_is_found_at_the_new_level(detector: Detector, shifted: Shifted) -> None:
    values = make_values(shifted, 8, 8.0)
    values[-5] += 9
    assert shifted.rows - 5 - shifted.at in find_alerts(detector, shifted, values)
