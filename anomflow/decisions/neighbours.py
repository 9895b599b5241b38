"""The rows around a candidate: how far its snooze reaches in time, and how old it may be."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import polars as pl

from anomflow.decisions.candidate import Candidate, find_max_age

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta


@dataclass(frozen=True)
class Placement:
    """How many rows a snooze reaches on either side, and the age limit where one is given."""

    snooze_n: int
    max_age: timedelta | None = None


def place_candidates(candidates: Sequence[Candidate], known: pl.DataFrame, placement: Placement) -> tuple[Candidate, ...]:
    """Set snooze range and age limit of candidates from the rows known of their metrics.

    ``known`` has metric_name and metric_timestamp, in any order, with duplicates or without; rows of other metrics are
    ignored. A metric's step is the median of the positive distances of its rows.
    """
    names = {candidate.metric_name for candidate in candidates}
    rows = known.filter(pl.col("metric_name").is_in(names)).select("metric_name", "metric_timestamp").unique().sort("metric_timestamp")
    times = {name: part["metric_timestamp"].to_list() for (name,), part in rows.partition_by("metric_name", as_dict=True).items()}
    steps = {name: _find_step(of_metric) for name, of_metric in times.items()}
    return tuple(
        replace(
            _set_range(candidate, times.get(candidate.metric_name, []), placement.snooze_n),
            max_age=find_max_age(placement.max_age, steps.get(candidate.metric_name)),
        )
        for candidate in candidates
    )


def _set_range(candidate: Candidate, times: Sequence[datetime], snooze_n: int) -> Candidate:
    if snooze_n == 0:
        return replace(candidate, snooze_from=candidate.metric_timestamp, snooze_until=candidate.metric_timestamp)
    first = bisect_left(times, candidate.metric_timestamp) - snooze_n
    last = bisect_right(times, candidate.metric_timestamp) - 1 + snooze_n
    return replace(
        candidate,
        snooze_from=times[first] if first >= 0 else None,
        snooze_until=times[last] if last < len(times) else None,
    )


def _find_step(times: Sequence[datetime]) -> float | None:
    steps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    return median(steps) if steps else None
