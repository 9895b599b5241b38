"""Periods whose rows are neither judged nor learned, and the rows that they cover."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC as ZONE
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.decisions.names import matches
from anomflow.frames import UTC

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

# Where a point lies in time: at its timestamp. Buckets have a start and an end.
_INSTANT: Final = (pl.col("metric_timestamp"), None)


@dataclass(frozen=True)
class Period:
    """A time (zoned; ``start`` inclusive, ``end`` exclusive) that the metrics of a name, or of a pattern with ``*``, are left out of."""

    metrics: str
    start: datetime
    end: datetime
    reason: str


def find_covered(points: pl.DataFrame, periods: Sequence[Period], span: tuple[pl.Expr, pl.Expr | None] = _INSTANT) -> pl.Series:
    """Return by row (metric_name, metric_timestamp in UTC) the reason of the first period that covers it, null where none does.

    ``span`` tells from when to when (exclusive) a row lasts, where it is a bucket: it is covered where it overlaps a period.
    """
    cases = [pl.when(covered).then(pl.lit(reason)) for covered, reason in _find_cases(points["metric_name"].unique(), periods, span)]
    nothing = pl.lit(pl.Series([None], dtype=pl.String).new_from_index(0, points.height))
    return points.select(pl.coalesce(*cases, nothing).alias("covered")).to_series()


def drop_covered(observations: pl.DataFrame, periods: Sequence[Period], span: tuple[pl.Expr, pl.Expr | None] = _INSTANT) -> pl.DataFrame:
    """Return the rows that no period covers; see ``find_covered``."""
    return observations.filter(find_covered(observations, periods, span).is_null()) if periods else observations


def _find_cases(names: Collection[str], periods: Sequence[Period], span: tuple[pl.Expr, pl.Expr | None]) -> Iterator[tuple[pl.Expr, str]]:
    start, end = span
    for period in periods:
        begins, ends = (pl.lit(time.astimezone(ZONE), UTC) for time in (period.start, period.end))
        within = (start < ends) & (start >= begins if end is None else end > begins)
        if period.metrics == "*":
            yield within, period.reason
            continue
        named = [name for name in names if name is not None and matches(name, [period.metrics])]
        if named:
            yield within & pl.col("metric_name").is_in(named), period.reason
