"""False changes in series without any, asked against real, and how soon a step is found: `python benchmarks/changes.py`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from anomflow.decisions.change import find_firsts
from anomflow.decisions.shift import measure_shift
from anomflow.sections.alerts import ChangeSpec

Floats = NDArray[np.float64]

KINDS: Final = ("white", "autocorrelated", "lognormal", "heavy", "counts", "sparse", "daily", "weekdays")
MONTH: Final = 30 * 86_400.0
QUIET: Final = 16


def make_series(kind: str, seconds: Floats, rng: np.random.Generator) -> Floats:
    """Make a series of a kind that has no change of level."""
    noise = rng.normal(size=len(seconds))
    day = np.sin(2 * np.pi * seconds / 86_400)
    if kind == "autocorrelated":
        for row in range(1, len(noise)):
            noise[row] += 0.8 * noise[row - 1]
    is_weekend = (seconds // 86_400) % 7 >= 5
    return {
        "lognormal": np.exp(0.8 * noise),
        "heavy": rng.standard_t(3, size=len(noise)),
        "counts": rng.poisson(4, size=len(noise)).astype(np.float64),
        "sparse": rng.poisson(0.05, size=len(noise)).astype(np.float64),
        "daily": 10 * day + noise,
        "weekdays": np.where(is_weekend, 20.0, 100 + 20 * day) + noise,
    }.get(kind, noise)


def measure_false(kind: str, step: float, rows: int, repeats: int) -> tuple[float, float]:
    """Return the false changes in 30 days of a metric, and the share of steps of ten deviations that are found within ten rows."""
    spec = ChangeSpec()
    first = rows - round((rows * step - 8 * 86_400) / step) if step < 86_400 else 0
    alarms, months, found = 0, 0.0, 0
    seconds: Floats = np.arange(rows, dtype=np.float64) * step
    for repeat in range(repeats):
        rng = np.random.default_rng([repeat, KINDS.index(kind), int(step)])
        values = make_series(kind, seconds, rng)
        firsts = find_firsts(np.abs(measure_shift(seconds, values, spec).ratio) >= 1, QUIET)
        alarms += int((firsts >= first).sum())
        months += step * (rows - first) / MONTH
        at = int(rng.integers(rows - 200, rows - 20))
        values[at:] += 10 * np.std(values - 10 * np.sin(2 * np.pi * seconds / 86_400) if kind == "daily" else values[:at])
        ratio = np.abs(measure_shift(seconds, values, spec).ratio)
        found += bool((ratio[at : at + 10] >= 1).any())
    return alarms / months, found / repeats


def main() -> None:
    """Print a table."""
    print("| step | " + " | ".join(KINDS) + " |")
    for step, rows, repeats in ((300.0, 4000, 30), (3600.0, 2160, 30), (86_400.0, 250, 60)):
        cells = [measure_false(kind, step, rows, repeats) for kind in KINDS]
        print(f"| {step:.0f} s | " + " | ".join(f"{alarms:.2f} / {found:.0%}" for alarms, found in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
