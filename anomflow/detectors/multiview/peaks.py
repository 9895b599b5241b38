"""How often the score of a metric peaks while nothing much happens, and the factor that makes up for it.

The curve of ``anomflow.calibration`` holds for metrics on average. Where one row in itself moves all views at once (noise
without memory, heavy tails) high scores are several times as frequent; where each row follows from those before they are
rarer. Peaks of a moderate height tell which of both a metric is long before a false alarm does, and incidents, whose peaks
are higher, hardly count among them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from numba import njit

from anomflow.detectors.multiview.layout import STAGES

if TYPE_CHECKING:
    from anomflow.detectors.multiview.layout import Head

LOW: Final = 1.4
HIGH: Final = 2.2
APART: Final = 10  # rows; those nearer to the last peak belong to it
USUAL_SHARE: Final = 10**-2.32  # of rows, where the curve holds
DOUBT: Final = 10.0  # peaks that were needed to believe half of what they say
CORRECTION: Final = 0.5
RAREST: Final = -0.15  # log10 of the peaks that there are to those that are usual
OFTENEST: Final = 0.6


@njit(nogil=True)
def peak_factor(head: Head, row: int) -> float:
    """Return what a score is multiplied by: less than 1 for a metric whose scores peak more often than usual."""
    usual = USUAL_SHARE * max(row - STAGES[0], 0)
    excess = math.log10((head.peaks + DOUBT) / (usual + DOUBT))
    return 1.0 - CORRECTION * min(max(excess, RAREST), OFTENEST)


@njit(nogil=True)
def count_peak(head: Head, row: int, score: float) -> None:
    """Count a peak of moderate height, by its first row, and remember where the last peak of any height began."""
    if score < LOW or row - head.peak_row < APART:
        return
    head.peak_row = row
    if score < HIGH:
        head.peaks += 1
