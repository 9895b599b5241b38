"""The ragged batch: all metrics' rows as a detector sees them, in one array of times and one of values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anomflow.frames import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from anomflow.sections.common import FeatureSpec

Floats = NDArray[np.float64]

_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_MONDAY: Final = timedelta(days=4)  # the first one after 1970-01-01, which was a Thursday
# Midnights that a change of clocks skips begin an hour later, or on the next day where a whole day was left out.
_LATER_STARTS: Final = (timedelta(0), timedelta(hours=1), _DAY)


@dataclass(frozen=True, eq=False)
class SeriesBatch:
    """Rows of metrics: those of ``names[i]`` lie at ``offsets[i]:offsets[i + 1]``, strictly ascending in time.

    ``names`` ascend; ``seconds`` are epoch seconds (UTC); values are finite.
    """

    names: tuple[str, ...]
    offsets: NDArray[np.int64]
    seconds: Floats
    values: Floats

    def __len__(self) -> int:
        """Return how many metrics there are."""
        return len(self.names)

    def __iter__(self) -> Iterator[tuple[str, Floats, Floats]]:
        """Yield each metric's name, seconds and values (views, not copies)."""
        for i, name in enumerate(self.names):
            rows = slice(self.offsets[i], self.offsets[i + 1])
            yield name, self.seconds[rows], self.values[rows]


def metric_shard(name: str, shards: int) -> int:
    """Return the shard of a metric, from 0 to ``shards`` - 1: a hash of its name, the same on every machine."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % shards


def to_timestamps(seconds: Floats) -> pl.Series:
    """Return epoch seconds as UTC timestamps with microseconds; NaN becomes null."""
    known = np.isfinite(seconds)
    microseconds = np.rint(np.where(known, seconds, 0.0) * 1e6).astype(np.int64)
    return pl.Series(microseconds).set(pl.Series(~known), None).cast(UTC)


@overload
def bucket_starts(timestamps: pl.Expr, features: FeatureSpec, timezone: str) -> pl.Expr: ...
@overload
def bucket_starts(timestamps: pl.Series, features: FeatureSpec, timezone: str) -> pl.Series: ...
def bucket_starts(timestamps: pl.Expr | pl.Series, features: FeatureSpec, timezone: str) -> pl.Expr | pl.Series:
    """Return the start of the bucket that each UTC timestamp belongs to, the timestamp itself where ``freq`` is not set.

    Buckets shorter than a day count from the UTC epoch, longer ones from a local Monday's midnight in ``timezone``; a
    bucket includes its start and excludes its end.
    """
    if isinstance(timestamps, pl.Series):
        return pl.select(bucket_starts(pl.lit(timestamps), features, timezone).alias(timestamps.name)).to_series()
    if features.freq is None:
        return timestamps
    if features.freq < _DAY:
        return _floor(timestamps, features.freq).cast(UTC)
    return _from_local(_local_starts(timestamps, features.freq, timezone), timezone)


def bucket_ends(timestamps: pl.Expr, features: FeatureSpec, timezone: str) -> pl.Expr:
    """Return the end of the bucket that each UTC timestamp belongs to; raises ValueError where ``freq`` is not set."""
    if features.freq is None:
        raise ValueError("buckets have no end where freq is not set; set freq")
    if features.freq < _DAY:
        return (_floor(timestamps, features.freq) + features.freq // _MICROSECOND).cast(UTC)
    return _from_local(_local_starts(timestamps, features.freq, timezone) + features.freq, timezone)


def _floor(times: pl.Expr, width: timedelta) -> pl.Expr:
    microseconds = times.cast(pl.Int64)
    return microseconds - microseconds % (width // _MICROSECOND)


def _local_starts(timestamps: pl.Expr, width: timedelta, timezone: str) -> pl.Expr:
    local = timestamps.dt.convert_time_zone(timezone).dt.replace_time_zone(None)
    return _floor(local - _MONDAY, width).cast(pl.Datetime("us")) + _MONDAY


def _from_local(starts: pl.Expr, timezone: str) -> pl.Expr:
    zoned = ((starts + later).dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null") for later in _LATER_STARTS)
    return pl.coalesce(*zoned).dt.convert_time_zone("UTC")


def build_series(observations: pl.DataFrame, features: FeatureSpec, timezone: str, as_of: datetime) -> SeriesBatch:
    """Build what a detector sees of ``metric_name``, ``metric_timestamp`` (UTC) and ``metric_value``, in any order.

    Of rows with the same name and time the last one counts. Rows without a finite value and those after ``as_of``
    (zoned) are left out. With ``freq``, values are those of complete buckets, at their starts; an empty one is missing.
    """
    rows = (
        observations.select(
            name=pl.col("metric_name").cast(pl.String),
            time=pl.col("metric_timestamp").cast(UTC),
            value=pl.col("metric_value").cast(pl.Float64),
        )
        .filter(pl.col("name").is_not_null(), pl.col("time") <= as_of)
        .unique(["name", "time"], keep="last", maintain_order=True)
        .filter(pl.col("value").is_finite())
        .sort("name", "time")
    )
    return _pack(rows if features.freq is None else _aggregate(rows, features, timezone, as_of))


def _aggregate(rows: pl.DataFrame, features: FeatureSpec, timezone: str, as_of: datetime) -> pl.DataFrame:
    time = pl.col("time")
    complete = rows.filter(bucket_ends(time, features, timezone) + features.freq_grace <= as_of)
    bucketed = complete.with_columns(time=bucket_starts(time, features, timezone))
    if bucketed.is_empty():
        return bucketed
    starts = np.flatnonzero(bucketed.select(first=pl.struct("name", "time").rle_id().diff() != 0)["first"].fill_null(True).to_numpy())
    with np.errstate(over="ignore"):
        values = _AGGREGATES[features.freq_agg](bucketed["value"].to_numpy(), starts)
    return bucketed[starts].with_columns(value=pl.Series(values)).filter(pl.col("value").is_finite())


def _counts(values: Floats, starts: NDArray[np.int64]) -> Floats:
    return np.diff(np.append(starts, len(values))).astype(np.float64)


def _medians(values: Floats, starts: NDArray[np.int64]) -> Floats:
    bucket = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    frame = pl.DataFrame({"bucket": bucket, "value": values})
    return frame.group_by("bucket", maintain_order=True).agg(pl.col("value").median())["value"].to_numpy()


# Reductions over runs of sorted rows: their order of summation, and so every bit, is the same on any number of threads.
_AGGREGATES: Final[dict[str, Callable[[Floats, NDArray[np.int64]], Floats]]] = {
    "mean": lambda values, starts: np.add.reduceat(values, starts) / _counts(values, starts),
    "sum": np.add.reduceat,
    "min": np.minimum.reduceat,
    "max": np.maximum.reduceat,
    "median": _medians,
    "last": lambda values, starts: values[np.append(starts[1:], len(values)) - 1],
    "count": _counts,
}


def build_times(points: pl.DataFrame) -> dict[str, Floats]:
    """Return the times of points (``metric_name``, ``metric_timestamp`` in UTC) as those of a series (epoch seconds), by metric."""
    rows = points.select(name="metric_name", time=pl.col("metric_timestamp").cast(UTC), value=0.0).sort("name", "time")
    return {name: seconds for name, seconds, _ in _pack(rows)}


def _pack(rows: pl.DataFrame) -> SeriesBatch:
    runs = rows["name"].rle().struct.unnest()
    return SeriesBatch(
        names=tuple(runs["value"]),
        offsets=np.concatenate([[0], np.cumsum(runs["len"].to_numpy(), dtype=np.int64)]).astype(np.int64),
        seconds=rows["time"].to_physical().to_numpy() / 1e6,
        values=rows["value"].to_numpy() + 0.0,  # no negative zero: equal values have equal bits
    )


def build_empty() -> SeriesBatch:
    """Return a batch without metrics."""
    return _join([])


def select_series(series: SeriesBatch, names: Collection[str]) -> SeriesBatch:
    """Return the rows of some of the metrics."""
    wanted = set(names)
    return _join([(name, seconds, values) for name, seconds, values in series if name in wanted])


def drop_points(series: SeriesBatch, points: Mapping[str, Floats], keep: Mapping[str, Floats] | None = None) -> SeriesBatch:
    """Return a batch without the rows at some times (epoch seconds, by metric), except for those at the times of ``keep``."""
    if not points:
        return series
    nothing, kept = np.empty(0), keep or {}
    parts = []
    for name, seconds, values in series:
        stays = ~np.isin(seconds, points.get(name, nothing)) | np.isin(seconds, kept.get(name, nothing))
        parts.append((name, seconds[stays], values[stays]))
    return _join([part for part in parts if len(part[1])])


def _join(parts: Sequence[tuple[str, Floats, Floats]]) -> SeriesBatch:
    nothing = np.empty(0)
    return SeriesBatch(
        names=tuple(name for name, _, _ in parts),
        offsets=np.cumsum([0, *(len(seconds) for _, seconds, _ in parts)], dtype=np.int64),
        seconds=np.concatenate([nothing, *(seconds for _, seconds, _ in parts)]),
        values=np.concatenate([nothing, *(values for _, _, values in parts)]),
    )


def series_frame(series: SeriesBatch) -> pl.DataFrame:
    """Return a ragged batch as metric_name, metric_timestamp (UTC) and metric_value."""
    return pl.DataFrame(
        {
            "metric_name": np.repeat(np.array(series.names, dtype=object), np.diff(series.offsets)),
            "metric_timestamp": to_timestamps(series.seconds),
            "metric_value": series.values,
        },
        schema_overrides={"metric_name": pl.String},
    )
