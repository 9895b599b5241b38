"""Rows of a CSV file: one metric, or several by the name in a column."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.conform import Conformed, conform_observations, conform_times
from anomflow.errors import FrameError

if TYPE_CHECKING:
    from pathlib import Path

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "metric_timestamp": ("metric_timestamp", "timestamp", "time", "date", "datetime"),
    "metric_value": ("metric_value", "value"),
    "metric_name": ("metric_name", "series", "name", "metric"),
}


def read_csv(path: Path, timezone: str = "UTC") -> Conformed:
    """Read ``timestamp`` and ``value``, and ``series`` where several metrics share the file (or Anomflow's names of these).

    Times are ISO 8601 (of ``timezone`` where they have none) or epoch numbers. Of rows of one metric and time the last
    counts; rows without a time or with text for a number are rejected with the reason.

    Raises FrameError for a file that cannot be read, has no rows, or lacks a column.
    """
    rows = _read_text(path)
    chosen = _choose_columns(rows, path)
    if rows.is_empty():
        raise FrameError(f"{path}: there is no row below the headings; a backtest needs history")
    try:
        return conform_observations(_read_epochs(chosen), path.stem, timezone)
    except FrameError as error:
        raise FrameError(f"{path}: {error}") from error


def _read_text(path: Path) -> pl.DataFrame:
    try:
        # Not by its path, in which polars would look for patterns and folders.
        return pl.read_csv(io.BytesIO(path.read_bytes()), infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise FrameError(f"{path}: the file is empty; the first line names the columns timestamp, value") from error
    except OSError as error:
        raise FrameError(f"{path}: cannot be read: {error.strerror}") from error
    except pl.exceptions.PolarsError as error:
        raise FrameError(f"{path}: is no CSV in UTF-8 with as many cells in every line: {str(error).splitlines()[0]}") from error


def _choose_columns(rows: pl.DataFrame, path: Path) -> pl.DataFrame:
    folded = {column.strip().casefold(): column for column in reversed(rows.columns)}
    found = {wanted: next((folded[name] for name in names if name in folded), None) for wanted, names in NAMES.items()}
    missing = [f"{wanted} (or {', '.join(NAMES[wanted][1:])})" for wanted in ("metric_timestamp", "metric_value") if found[wanted] is None]
    if missing:
        raise FrameError(f"{path}:1: there is no column {' and no column '.join(missing)}; found: {', '.join(rows.columns)}")
    name = pl.lit(path.stem) if found["metric_name"] is None else pl.col(found["metric_name"])
    times, values = found["metric_timestamp"], found["metric_value"]
    return rows.select(pl.col(str(times)).alias("metric_timestamp"), name.alias("metric_name"), pl.col(str(values)).alias("metric_value"))


def _read_epochs(rows: pl.DataFrame) -> pl.DataFrame:
    """Write epoch numbers as ISO 8601, cell by cell: a file's one bad time is no reason to read the others otherwise."""
    text = pl.col("metric_timestamp").str.strip_chars()
    moments = [_read_moments(rows, text.cast(kind, strict=False)) for kind in (pl.Int64, pl.Float64)]
    written = [moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") for moment in moments]
    return rows.with_columns(pl.coalesce(*written, "metric_timestamp").alias("metric_timestamp"))


def _read_moments(rows: pl.DataFrame, numbers: pl.Expr) -> pl.Series:
    return conform_times(rows.select(numbers.alias("metric_timestamp")))["metric_timestamp"]
