"""What a batch's detector sees of its rows: values or buckets, without those of the periods that are ignored.

Training, scoring, changes and backtests all build their series here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from anomflow.periods import Period, drop_covered, find_covered
from anomflow.sections.common import FeatureSpec
from anomflow.series import Floats, SeriesBatch, bucket_ends, bucket_starts, build_series, to_timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.spec import BatchSpec

_TIME = pl.col("metric_timestamp")


@dataclass(frozen=True)
class Sight:
    """How rows become what a detector sees: the features, the time zone of buckets, the periods whose rows it never sees."""

    features: FeatureSpec
    timezone: str = "UTC"
    periods: tuple[Period, ...] = ()


def build_sight(spec: BatchSpec, features: tuple[FeatureSpec, str] | None = None) -> Sight:
    """Return what a batch's settings let a detector see, by other features and time zone where a model was made with others."""
    return Sight(*(features or (spec.features, spec.common.timezone)), find_periods(spec))


def find_periods(spec: BatchSpec) -> tuple[Period, ...]:
    """Return the periods that the settings of a batch ignore; their times without a zone are the batch's."""
    return tuple(Period(given.metrics, *given.span(spec.common.timezone), given.reason) for given in spec.calendar.ignore_periods)


def build_seen(observations: pl.DataFrame, sight: Sight, as_of: datetime) -> SeriesBatch:
    """Build the series of rows (see ``build_series``) without those in, or with ``freq`` whose bucket overlaps, an ignored period."""
    seen = drop_covered(observations, sight.periods, _find_span(sight))
    return build_series(seen, sight.features, sight.timezone, as_of)


def find_ignored(points: pl.DataFrame, sight: Sight) -> pl.Series:
    """Return for each point (rows, or buckets by their start) why it is ignored, null where it is seen."""
    return find_covered(points, sight.periods, _find_span(sight))


def is_touched(name: str, seconds: Floats, sight: Sight) -> bool:
    """Tell whether any of a metric's times (epoch seconds) is of an ignored period."""
    if not sight.periods:
        return False
    points = pl.DataFrame({"metric_timestamp": to_timestamps(seconds)}).with_columns(metric_name=pl.lit(name))
    return find_ignored(points, sight).null_count() < len(seconds)


def _find_span(sight: Sight) -> tuple[pl.Expr, pl.Expr | None]:
    if sight.features.freq is None:
        return _TIME, None
    return bucket_starts(_TIME, sight.features, sight.timezone), bucket_ends(_TIME, sight.features, sight.timezone)
