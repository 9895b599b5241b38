"""What a detector remembers of one metric, what it says about rows, and what the rooms ask of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

Floats = NDArray[np.float64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_WORD: Final = 1 << 64


def checksum(seconds: Floats, values: Floats) -> int:
    """Return a 64-bit checksum of rows; that of two pieces is the sum of theirs, modulo 2**64.

    Each row is mixed on its own by SplitMix64 (Steele, Lea and Flood 2014).
    """
    words = seconds.view(np.uint64) * _GOLDEN + values.view(np.uint64)
    words = (words ^ (words >> np.uint64(30))) * _MIX[0]
    words = (words ^ (words >> np.uint64(27))) * _MIX[1]
    return int(np.sum(words ^ (words >> np.uint64(31)), dtype=np.uint64))


@dataclass(frozen=True, eq=False)
class State:
    """What is remembered of one metric after ``rows`` rows since its origin.

    ``origin`` and ``checkpoint`` are the epoch seconds (UTC) of the first and the last row; ``seconds`` and ``values``
    hold the newest rows, ``anomalies`` their newest anomaly scores (NaN: none), ``memory`` what is the detector's own.
    """

    rows: int
    origin: float
    checkpoint: float
    checksum: int
    seconds: Floats
    values: Floats
    anomalies: Floats
    memory: Mapping[str, NDArray[Any]]

    def checksum_with(self, seconds: Floats, values: Floats) -> int:
        """Return the checksum of this state's rows and those that follow."""
        return (self.checksum + checksum(seconds, values)) % _WORD


@dataclass(frozen=True, eq=False)
class Replay:
    """What a detector says about rows, an entry each; NaN where it says nothing yet.

    ``anomaly`` is A, which rises when something begins; ``state`` is S, which stays high while it lasts. The expected
    value and its band are in the metric's units; ``flat_rows`` is the length of a run of identical values where it first
    becomes unusual, else 0; ``residual`` is the forecast's error in units of the scale; ``surprises`` has a column for
    each view of A.
    """

    anomaly: Floats
    state: Floats
    expected: Floats
    expected_low: Floats
    expected_high: Floats
    step_seconds: Floats
    flat_rows: NDArray[np.int64]
    residual: Floats
    surprises: Floats

    def pick(self, rows: NDArray[np.bool_]) -> Replay:
        """Return the entries of some rows."""
        return Replay(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def join(cls, replays: Sequence[Replay]) -> Replay:
        """Concatenate the entries of at least one replay."""
        return cls(*(np.concatenate([getattr(replay, field.name) for replay in replays]) for field in fields(cls)))


class Detector(Protocol):
    """Judge the rows of one metric in the order of time, from what the rows before left behind."""

    @property
    def name(self) -> str:
        """Name the detector as settings do."""
        ...

    @property
    def version(self) -> str:
        """Identify the code; a state that another version made is not continued."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Name the columns of a replay's surprises."""
        ...

    @property
    def layout(self) -> Mapping[str, np.dtype[Any]]:
        """Name the arrays of a state's memory and their types."""
        ...

    def check(self, state: State) -> str | None:
        """Say what makes a state unusable, None for a sound one."""
        ...

    def advance(self, state: State | None, seconds: Floats, values: Floats) -> tuple[Replay, State]:
        """Judge the rows that follow a state (None: the first rows of a metric); raise ValueError where they do not follow it.

        Rows are finite and strictly ascending in time. The state given stays as it is.
        """
        ...

    def explain(self, replay: Replay) -> pl.Series:
        """Say in words why each row is surprising, null where no view finds it so."""
        ...
