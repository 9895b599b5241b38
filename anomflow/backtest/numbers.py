"""Times and numbers as arrays, judged as if they had come one after another: a backtest for notebooks and benchmarks."""

from __future__ import annotations

from datetime import UTC as ZONE
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from anomflow.backtest.production import build_replay_spec
from anomflow.backtest.replay import replay_scores
from anomflow.backtest.settings import NAME, build_batch
from anomflow.decisions.anomaly import find_anomalies
from anomflow.errors import FrameError, RunError
from anomflow.frames import UTC
from anomflow.series import bucket_starts
from anomflow.sight import build_seen, build_sight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from anomflow.backtest.settings import Settings
    from anomflow.batches import Batch

SAID: Final = ("surprise", "state", "anomaly_score", "expected_low", "expected_high")
COLUMNS: Final[dict[str, pl.DataType]] = {
    "timestamp": UTC,
    "value": pl.Float64(),
    "surprise": pl.Float64(),
    "state": pl.Float64(),
    "anomaly_score": pl.Float64(),
    "alert": pl.Boolean(),
    "expected_low": pl.Float64(),
    "expected_high": pl.Float64(),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=ZONE)
_FIRST: Final = -62_135_596_800  # year 1
_LAST: Final = 253_402_300_799  # the end of year 9999


def replay_series(seconds: ArrayLike, values: ArrayLike, settings: Mapping[str, Any] | Settings = None) -> pl.DataFrame:
    """Judge the rows of one metric by the rows before them in time, with the code and the defaults of production.

    ``seconds`` are whole epoch seconds (UTC), ``values`` numbers, in any order; ``settings`` are flat keys of a batch, or
    its spec. Returns a row for each row given, in its place: timestamp (UTC), value, surprise, state, anomaly_score, alert
    (the decision on the score, before the snooze), expected_low, expected_high (in units of ``value``).

    A row without a score (too few rows before it, a value that is not finite) has nulls and does not alert. Of rows of one
    time the last is judged, as a correction of the others. With ``freq`` the last row of a complete bucket has its
    judgement. ``state`` is null where the detector knows none.

    Raises:
        FrameError: arrays of different lengths, or what is no time or number.
        SettingsError: wrong settings, all of them.
        RunError: the detector cannot judge these rows.
    """
    batch = build_batch(settings)
    rows = _build_rows(seconds, values)
    said = _judge(rows, batch)
    judged = rows.join(said, on="index", how="left", maintain_order="left").with_columns(pl.col("alert").fill_null(value=False))
    return judged.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())


def _build_rows(seconds: ArrayLike, values: ArrayLike) -> pl.DataFrame:
    times, numbers = _read_seconds(seconds), _read_values(values)
    if len(times) != len(numbers):
        raise FrameError(f"there are {len(times)} seconds and {len(numbers)} values; give one value for each time")
    return pl.DataFrame({"timestamp": pl.Series(times * 1_000_000, dtype=pl.Int64).cast(UTC), "value": numbers}).with_row_index("index")


def _read_seconds(seconds: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(seconds)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iuf"):
        raise FrameError(f"seconds are of type {given.dtype} in {given.ndim} dimensions; give one array of whole epoch seconds")
    inside = (given >= _FIRST) & (given <= _LAST)  # what is not a number is outside
    if not inside.all():
        raise FrameError(f"seconds has {given[~inside][0]}, which is after the year 9999 or no time; give seconds, not milliseconds")
    times = given.astype(np.int64)
    if not np.array_equal(times, given):
        raise FrameError(f"seconds has {given[times != given][0]}; give whole seconds")
    return times


def _read_values(values: ArrayLike) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise FrameError(f"values are no numbers ({error}); give one array of floats, NaN for a missing one") from error
    if numbers.ndim != 1:
        raise FrameError(f"values have {numbers.ndim} dimensions; give one array of floats")
    return numbers


def _judge(rows: pl.DataFrame, batch: Batch) -> pl.DataFrame:
    spec = batch.spec
    until: Any = rows["timestamp"].max() or _EPOCH
    observations = rows.select(pl.lit(NAME).alias("metric_name"), metric_timestamp="timestamp", metric_value="value")
    series = build_seen(observations, build_sight(spec), until)
    scoring = replay_scores(series, build_replay_spec(batch))
    if scoring.failed:
        raise RunError(f"the series cannot be judged: {scoring.failed[NAME]}")
    return _place(rows, scoring.scores, batch)


def _place(rows: pl.DataFrame, scores: pl.DataFrame, batch: Batch) -> pl.DataFrame:
    """Return what is said about each judged bucket or row, at the row (``index``) that made it known."""
    spec = batch.spec
    buckets = rows.with_columns(bucket=bucket_starts(pl.col("timestamp"), spec.features, spec.common.timezone))
    newest = buckets.sort("timestamp", "index").group_by("bucket", maintain_order=True).agg(pl.col("index").last())
    alerts = find_anomalies(scores, spec.alert)[1]
    times = pl.Series([candidate.metric_timestamp for candidate in alerts], dtype=UTC)
    # A score has a state where the detector has a head for it.
    said = [pl.col(name) if name in scores.columns else pl.lit(None, COLUMNS[name]).alias(name) for name in SAID]
    told = scores.select(pl.col("metric_timestamp").alias("bucket"), *said, alert=pl.col("metric_timestamp").is_in(times.implode()))
    return newest.join(told, on="bucket", how="inner").drop("bucket")
