"""Models of PyOD raise about as many false alarms on noise as were asked for, whatever the noise: their own raw scores would not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from detection.pyod_settings import detector_of

from anomflow.calibration import threshold

SERIES, ROWS, FIRST, SNOOZE = 10, 2000, 60, 10
NOISE: dict[str, Callable[[np.random.RandomState], np.ndarray]] = {
    "normal": lambda random: random.normal(size=ROWS),
    "heavy tails": lambda random: random.standard_t(3, size=ROWS),
}
# Step in seconds, false alarms asked for in 30 days: one in 360 rows, one in 1,440.
ASKED = [(3600.0, 2.0), (300.0, 6.0)]


def count_alarms(anomaly: np.ndarray, least: float) -> int:
    """Count the notifications: alarms further apart than a snooze."""
    rows = np.flatnonzero(anomaly[FIRST:] >= least)
    alarms, last = 0, -SNOOZE - 1
    for row in rows:
        fresh = row - last > SNOOZE
        alarms += fresh
        last = row if fresh else last
    return int(alarms)


@pytest.mark.parametrize(("models", "settings"), [(("KNN",), {}), (("PCA", "KNN"), {"model_combination_method": "mean"})])
@pytest.mark.parametrize("noise", NOISE)
def test_noise_raises_at_most_one_and_a_half_times_the_alarms_asked_for(models: Any, settings: Any, noise: str) -> None:
    detector = detector_of(*models, **settings)
    made = [NOISE[noise](np.random.RandomState(100 + k)) for k in range(SERIES)]
    replays = [detector.advance(None, 1.7e9 + 3600.0 * np.arange(ROWS), values)[0] for values in made]

    for step, asked in ASKED:
        months = SERIES * (ROWS - FIRST) * step / (30 * 86_400)
        real = sum(count_alarms(replay.anomaly, float(threshold(step, asked))) for replay in replays) / months
        assert asked / 6 <= real <= 1.5 * asked
