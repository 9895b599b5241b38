"""What is remembered of one metric besides its rows and its fitted estimators, and when those are fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Rows with features that the first fit needs; each later fit has twice as many, then one comes every so many rows.
FIRST_FIT: Final = 16
EVERY: Final = 1000

METHODS: Final = ("quadratic", "mean", "min", "max")


HEAD: Final = np.dtype(
    [
        ("kernel", "<i8"),  # the code that made this state
        ("fitted", "<i8"),  # rows at the newest fit that was tried; 0 before the first
        ("step", "<f8"),  # seconds, at that fit
        ("low", "<f8"),  # how far below and above their level rows usually lie, at that fit
        ("high", "<f8"),
        ("run", "<i8"),  # identical values up to now
        ("longest", "<i8"),  # longest earlier run
        ("least", "<f8"),  # the least value that the metric had, 0 where none was negative
        ("starts", "<i8"),  # runs that began
        ("squares", "<f8"),  # sum of the squares of the lengths of earlier runs
        ("hold", "<f8"),  # highest anomaly score before damping, decaying with time
    ]
)
# One for each model and one for their combination, then as many that remember only what came since the newest fit.
# Arrays and not a record: the kernel is compiled once for any count.
CALIBRATOR: Final = np.dtype([("remembered", "<i8"), ("block_open", "<i8"), ("block_row", "<i8"), ("block_peak", "<f8")])


class Calibrators(NamedTuple):
    """The fields of all calibrators, an array each."""

    remembered: NDArray[np.int64]
    block_open: NDArray[np.int64]
    block_row: NDArray[np.int64]
    block_peak: NDArray[np.float64]

    @classmethod
    def unpack(cls, stored: NDArray[Any]) -> Calibrators:
        """Return copies of the fields of stored calibrators."""
        return cls(*(np.ascontiguousarray(stored[name]) for name in CALIBRATOR.names or ()))

    def pack(self) -> NDArray[Any]:
        """Return the calibrators as they are stored."""
        stored = np.zeros(len(self.remembered), CALIBRATOR)
        for name in self._fields:
            stored[name] = getattr(self, name)
        return stored


class Judging(NamedTuple):
    """How members become one: the place of the method in METHODS, weights, rows over which a repeated alert is damped.

    ``growing`` are the counts of rows at whose fits the estimators got twice as many rows as before.
    """

    method: int
    weights: NDArray[np.float64]
    damping: int
    growing: NDArray[np.int64]


class Rows(NamedTuple):
    """The rows that are kept and new ones, and how many there are since the origin before the new ones."""

    values: NDArray[np.float64]
    seconds: NDArray[np.float64]
    first: int


class Verdict(NamedTuple):
    """What the kernel fills in, a row each; ``undamped`` starts with the scores that were kept."""

    undamped: NDArray[np.float64]
    anomaly: NDArray[np.float64]
    state: NDArray[np.float64]
    flat_rows: NDArray[np.int64]
    surprises: NDArray[np.float64]


def count_calibrators(members: int) -> int:
    """Return how many calibrators a metric of so many models has."""
    return 2 * (members + 1)


def next_fit(rows: int, lookback: int) -> int:
    """Return the first count of rows beyond a given one at which estimators are fitted."""
    first = lookback + FIRST_FIT
    while first <= rows:
        first += min(first, EVERY)
    return first


def find_fits(rows: int, end: int, lookback: int) -> Iterator[int]:
    """Yield the counts of rows in (rows, end] at which estimators are fitted, ascending."""
    count = next_fit(rows, lookback)
    while count <= end:
        yield count
        count = next_fit(count, lookback)


def find_growing(rows: int, end: int, lookback: int) -> Iterator[int]:
    """Yield the counts of rows in (rows, end] at whose fits there are twice as many rows as at the fit before."""
    return (count for count in find_fits(rows, end, lookback) if count <= 2 * EVERY and next_fit(count // 2 - 1, lookback) == count // 2)
