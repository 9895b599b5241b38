"""Is everything there that should be: the volume of a batch, the newest rows of its metrics, the rows before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.effects import RETRIES, effect
from tasks.freshness import judge_freshness
from tasks.missing import judge_gaps
from tasks.volume import judge_volume

if TYPE_CHECKING:
    from anomflow.ledger.alerts import Recorded
    from tasks.history import Library


@dataclass(frozen=True)
class Completeness:
    """What was recorded of drops in volume, of overdue metrics, and of missing rows."""

    drop: Recorded
    overdue: Recorded
    gaps: Recorded

    @property
    def recovered(self) -> int:
        """Return how many alerts were resolved since what they told of is over."""
        return sum(recorded.recovered for recorded in (self.drop, self.overdue, self.gaps))


@effect("judge completeness", retries=RETRIES)
def judge_completeness(library: Library) -> Completeness:
    """Judge volume, then freshness, then gaps: what one of them told, the later ones do not tell again."""
    drop, lasting = judge_volume(library)
    overdue = judge_freshness(library, lasting)
    return Completeness(drop, overdue, judge_gaps(library))
