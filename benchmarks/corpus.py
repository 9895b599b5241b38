"""Labelled series to measure detectors on: read from a folder of parquet files.

A file ``NAME.parquet`` has the columns series, timestamp (UTC), value and label (0 normal, 1 anomalous, 2 not evaluated);
``NAME_windows.json`` may hold the windows that NAB's scoring uses, else the runs of label 1 are its windows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Floats = NDArray[np.float64]
Windows = tuple[tuple[int, int], ...]

COLUMNS: Final = {"series": pl.String(), "timestamp": pl.Datetime("us"), "value": pl.Float64(), "label": pl.UInt8()}
ANOMALOUS: Final = 1
IGNORED: Final = 2
# ASD is published as a training part of 2,000 rows and a test part behind it.
FIRST_ROWS: Final[Mapping[str, int]] = {"asd": 2000}
PROBATION: Final = 0.15
PROBATION_ROWS: Final = 5000


@dataclass(frozen=True, eq=False)
class Labelled:
    """The rows of one series as they stand in its file; ``windows`` are first and last rows, evaluation begins at ``first``."""

    name: str
    seconds: Floats
    values: Floats
    labels: NDArray[np.uint8]
    windows: Windows
    first: int

    @property
    def step(self) -> float:
        """Return the median step in seconds."""
        return float(np.median(np.diff(self.seconds))) if len(self.seconds) > 1 else 0.0


def load_corpora(folder: Path, first_rows: Mapping[str, int] | None = None) -> dict[str, list[Labelled]]:
    """Read each parquet file of a folder, by its name; ``first_rows`` tells from which row on a file is evaluated at the earliest.

    Raises ValueError where there is none, or where one lacks a column.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise ValueError(f"{folder} has no parquet files; give a folder of files with the columns {', '.join(COLUMNS)}")
    later = {**FIRST_ROWS, **(first_rows or {})}
    return {file.stem: load_corpus(file, later.get(file.stem, 0)) for file in files}


def load_corpus(file: Path, first: int = 0) -> list[Labelled]:
    """Read one parquet file; raise ValueError where it lacks a column."""
    table = pl.read_parquet(file)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"{file}: has no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
    beside = file.with_name(f"{file.stem}_windows.json")
    limits = json.loads(beside.read_text()) if beside.exists() else {}
    timed = table.with_columns(_read_times(table["timestamp"], file))
    rows = timed.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())
    known = rows.with_columns(pl.col("label").fill_null(0), pl.col("value").fill_null(float("nan")))
    return [_build(part, limits, first) for part in known.partition_by("series", maintain_order=True)]


def find_runs(labels: NDArray[Any]) -> Windows:
    """Return first and last row of each run of true entries."""
    edges = np.diff(np.concatenate([[0], np.asarray(labels, np.int8), [0]]))
    return tuple(zip((edges > 0).nonzero()[0].tolist(), ((edges < 0).nonzero()[0] - 1).tolist(), strict=True))


def probation(rows: int) -> int:
    """Return how many rows NAB leaves a detector to learn: 15 %, 750 at most."""
    return int(min(np.floor(PROBATION * rows), PROBATION * PROBATION_ROWS))


def _read_times(times: pl.Series, file: Path) -> pl.Series:
    """Return times in UTC, without a zone."""
    if not isinstance(times.dtype, pl.Datetime | pl.Date) or times.null_count():
        found = f"{times.null_count()} nulls" if times.null_count() else str(times.dtype)
        raise ValueError(f"{file}: the column timestamp holds {found}; needed are datetimes (UTC, or with a zone) or dates in each row")
    is_zoned = isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone is not None
    return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if is_zoned else times


def _build(part: pl.DataFrame, limits: Mapping[str, Any], first: int) -> Labelled:
    name, labels, times = part["series"][0], part["label"].to_numpy(), part["timestamp"]
    windows = find_window_rows(times, limits[name]) if name in limits else find_runs(labels == ANOMALOUS)
    seconds = times.to_physical().to_numpy() / 1e6
    return Labelled(name, seconds, part["value"].to_numpy(), labels, windows, max(probation(part.height), first))


def find_window_rows(times: pl.Series, limits: Any) -> Windows:
    """Return the rows at which windows begin and end: the first ones of their times, as in NAB."""
    found = [times.index_of(datetime.fromisoformat(limit)) for pair in limits for limit in pair]
    rows = [row for row in found if row is not None]
    if len(rows) < len(found):
        raise ValueError(f"a window of {limits} begins or ends at a time that is no row; give times of rows")
    return tuple(zip(rows[::2], rows[1::2], strict=True))
