"""Keep below a number of requests in any minute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

MINUTE: Final = 60.0


@dataclass
class Pace:
    """Moments of the requests of the last minute, by a clock that only runs forward; ``limit`` is how many there may be."""

    limit: int
    _moments: deque[float] = field(default_factory=deque)

    def reserve(self, now: float) -> float:
        """Take the next place at a time in seconds, and return for how many seconds to wait for it."""
        start = now if len(self._moments) < self.limit else max(now, self._moments[-self.limit] + MINUTE)
        self._moments.append(start)
        while len(self._moments) > self.limit:
            self._moments.popleft()
        return start - now

    def has_room(self, count: int, now: float) -> bool:
        """Tell whether this many could be reserved at a time in seconds without waiting."""
        return sum(moment > now - MINUTE for moment in self._moments) + count <= self.limit
