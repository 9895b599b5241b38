"""Rows of a CSV file: one metric, or several by the name in a column."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.conform import Conformed, conform_observations
from anomflow.errors import FrameError

if TYPE_CHECKING:
    from pathlib import Path

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "metric_timestamp": ("metric_timestamp", "timestamp", "time", "date", "datetime"),
    "metric_value": ("metric_value", "value"),
    "metric_name": ("metric_name", "series", "name", "metric"),
}
_NUMBER: Final = r"^\s*-?\d+(\.\d+)?\s*$"


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
    """Let a column of numbers be epochs: text is ISO 8601 elsewhere."""
    times = rows["metric_timestamp"].drop_nulls()
    if times.is_empty() or not times.str.contains(_NUMBER).all():
        return rows
    is_whole = all(re.fullmatch(r"\s*-?\d+\s*", text) for text in times.head(1)) and not times.str.contains(".", literal=True).any()
    return rows.with_columns(pl.col("metric_timestamp").str.strip_chars().cast(pl.Int64 if is_whole else pl.Float64, strict=False))
