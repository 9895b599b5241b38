"""How often something happened, with the interval of rates that would make such a count likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Rate:
    """A count over an exposure (weeks, months of metrics), as a rate with the ends of its interval; None without exposure."""

    count: int
    exposure: float
    value: float | None
    low: float | None
    high: float | None


def find_rate(count: int, exposure: float) -> Rate:
    """Return a rate with its exact interval of 95 % (Garwood 1936): a Poisson count is as rare beyond either end as 2.5 %."""
    from scipy.special import gammaincinv  # noqa: PLC0415 - takes a moment to import

    if not exposure > 0:
        return Rate(count, 0.0, None, None, None)
    tail = (1 - CONFIDENCE) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    high = float(gammaincinv(count + 1, 1 - tail))
    return Rate(count, exposure, count / exposure, low / exposure, high / exposure)
