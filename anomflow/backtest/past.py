"""What of a batch's rows a backtest reads: all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import FrameError

if TYPE_CHECKING:
    import polars as pl

# For the query ``train``, besides ``until``.
WHOLE_PAST: Final[dict[str, Any]] = {"since": datetime(1900, 1, 1, tzinfo=UTC), "max_n": 1_000_000_000, "metrics": None}


def require_rows(rows: pl.DataFrame | None, batch: str) -> pl.DataFrame:
    """Return the rows of a batch; raises FrameError where there are none."""
    if rows is None or rows.is_empty():
        raise FrameError(f"{batch}: there is no row to replay; ingest some: anomflow run ingest {batch}")
    return rows
