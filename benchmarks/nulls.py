"""Series in which nothing ever happens: every alert of theirs is false, so that a promised rate can be counted.

Twelve kinds of noise, each at steps of one minute, five minutes, an hour and a day; seasons last a day (a week at daily
steps). In ``gaps``, one row in twenty is missing and three weeks in the middle. Evaluation starts after a fifth of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.signal import lfilter

from benchmarks.corpus import Labelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.corpus import Floats

START: Final = 1_704_067_200.0
MISSING: Final = 21 * 86_400.0
MISSED: Final = 0.05
SEED: Final = 20_240_101


@dataclass(frozen=True)
class Clock:
    """A step in seconds, the rows of a season, the rows of a series, and how many series of each kind there are."""

    step: float
    season: int
    rows: int
    series: int


CLOCKS: Final[Mapping[str, Clock]] = {
    "1 minute": Clock(60.0, 1440, 20_160, 2),
    "5 minutes": Clock(300.0, 288, 12_000, 4),
    "1 hour": Clock(3600.0, 24, 4000, 10),
    "1 day": Clock(86_400.0, 7, 700, 20),
}


def _normal(random: np.random.Generator, clock: Clock) -> Floats:
    return random.normal(size=clock.rows)


def _autoregressive(random: np.random.Generator, clock: Clock, weight: float = 0.9) -> Floats:
    return np.asarray(lfilter([1.0], [1.0, -weight], _normal(random, clock)))


def _wave(clock: Clock, cycles: int = 1) -> Floats:
    return np.sin(2 * np.pi * cycles * np.arange(clock.rows) / clock.season)


def _rare_amounts(random: np.random.Generator, clock: Clock) -> Floats:
    return np.where(random.random(clock.rows) < 0.3, np.exp(_normal(random, clock)), 0.0)


KINDS: Final[Mapping[str, Callable[[np.random.Generator, Clock], Floats]]] = {
    "normal": _normal,
    "autoregressive": _autoregressive,
    "lognormal": lambda random, clock: np.exp(0.8 * _normal(random, clock)),
    "heavy tails": lambda random, clock: random.standard_t(3, size=clock.rows),
    "counts": lambda random, clock: random.poisson(4.0, size=clock.rows).astype(np.float64),
    "rare counts": lambda random, clock: random.poisson(0.05, size=clock.rows).astype(np.float64),
    "season": lambda random, clock: 10 * _wave(clock) + _normal(random, clock),
    "season of a level": lambda random, clock: 100 * np.exp(_wave(clock) + 0.3 * _normal(random, clock)),
    "season and drift": lambda random, clock: 8 * _wave(clock) + 3 * _wave(clock, 2) + 0.5 * _autoregressive(random, clock, 0.95),
    "quantised": lambda random, clock: np.rint(_autoregressive(random, clock, 0.7)) / 2,
    "zero-inflated": _rare_amounts,
    "gaps": lambda random, clock: 5 * _wave(clock) + _autoregressive(random, clock, 0.5),
}


def build_nulls(clock: Clock) -> list[Labelled]:
    """Build the series of all kinds at one step; the same on each call. Names are ``kind/number``."""
    return [_build(kind, which, number, clock) for which, kind in enumerate(KINDS) for number in range(clock.series)]


def _build(kind: str, which: int, number: int, clock: Clock) -> Labelled:
    random = np.random.default_rng([SEED, which, number])
    values, rows = KINDS[kind](random, clock), np.arange(clock.rows)
    seconds = START + clock.step * rows
    if kind == "gaps":
        kept = random.random(clock.rows) >= MISSED
        seconds, values = (seconds + MISSING * (rows >= clock.rows // 2))[kept], values[kept]
    return Labelled(f"{kind}/{number}", seconds, values, np.zeros(len(values), np.uint8), (), len(values) // 5)
