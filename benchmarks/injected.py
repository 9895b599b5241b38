"""Series of the kinds of ``nulls`` in which something does happen, at rows that are known: a corpus that anybody can build."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.corpus import ANOMALOUS, find_runs
from benchmarks.nulls import SEED, build_nulls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.corpus import Floats, Labelled
    from benchmarks.nulls import Clock

EVERY: Final = 600


@dataclass(frozen=True)
class Injection:
    """How many rows an event lasts, and what becomes of its values: given them, the scale of the series and random numbers."""

    rows: int
    change: Callable[[Floats, float, np.random.Generator], Floats]


INJECTIONS: Final[Mapping[str, Injection]] = {
    "spike": Injection(1, lambda values, scale, _: values + 8 * scale),
    "dip": Injection(2, lambda values, scale, _: values - 8 * scale),
    "level": Injection(24, lambda values, scale, _: values + 5 * scale),
    "burst": Injection(24, lambda values, scale, random: values + 4 * scale * random.normal(size=len(values))),
    "ramp": Injection(24, lambda values, scale, _: values + 8 * scale * np.linspace(0, 1, len(values))),
}


def build_injected(clock: Clock) -> list[Labelled]:
    """Build the series of ``build_nulls`` with an event about every 600 evaluated rows, the kinds in turn; the same on each call."""
    return [_inject(series, which) for which, series in enumerate(build_nulls(clock))]


def _inject(series: Labelled, which: int) -> Labelled:
    random = np.random.default_rng([SEED, 1, which])
    values, labels = series.values.copy(), series.labels.copy()
    scale = float(np.std(np.diff(values)) / np.sqrt(2)) or 1.0
    injections = tuple(INJECTIONS.values())
    for turn, start in enumerate(range(series.first + EVERY // 2, len(values) - EVERY // 4, EVERY)):
        injection = injections[(which + turn) % len(injections)]
        first = start + int(random.integers(EVERY // 4))
        rows = slice(first, first + injection.rows)
        values[rows] = injection.change(values[rows], scale, random)
        labels[rows] = ANOMALOUS
    return replace(series, values=values, labels=labels, windows=find_runs(labels))
