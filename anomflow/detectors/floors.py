"""How low a value may be expected: a metric that was never negative (counts, sizes, durations) is not expected to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anomflow.detectors.states import Floats


def find_floors(values: Floats, least: float) -> tuple[Floats, float]:
    """Return for each row 0 or minus infinity, by the rows before it, and the least value up to the last row.

    ``least`` is that of the rows before these, 0 where none was negative or there are none; so is what is returned.
    """
    lowest = np.minimum.accumulate(np.concatenate([[least], values]))
    return np.where(lowest[:-1] < 0, -np.inf, 0.0), float(lowest[-1])
