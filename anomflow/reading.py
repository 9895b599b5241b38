"""Run the queries of jobs and commands: built, run, checked by name, in the types that our columns have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.conform import conform_times
from anomflow.coverage import COUNTS
from anomflow.sql import REQUIRED_COLUMNS, build_query, check_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.batches import Batch
    from anomflow.protocols import Session
    from anomflow.sql import Query

# The columns of the queries, but for times. An engine may sum whole numbers to decimals, and SQLite knows no type of a
# column without a value.
TYPES: Final[dict[str, type[pl.DataType]]] = {
    **dict.fromkeys(("metric_name", "metric_type", "metadata", "score_metadata"), pl.String),
    **dict.fromkeys(("metric_value", "week", "pauses", "total", "longest", "pause", "step", "regular"), pl.Float64),
    **dict.fromkeys(("points", "earlier", "metrics", *COUNTS[1:]), pl.Int64),
}
TIMES: Final = ("first_point", "previous_timestamp", "last_earlier", "last_point", "last_score", "oldest_waiting")


def read_query(session: Session, batch: Batch, query: Query, variables: Mapping[str, object]) -> pl.DataFrame:
    """Run a query over a batch's rows; times come as UTC with microseconds.

    Raises FrameError where a column of ``REQUIRED_COLUMNS`` is missing, SqlError as ``build_query`` does.
    """
    frame = session.read(build_query(query, batch, session, variables))
    check_columns(frame, query, batch.name)
    types = {name: TYPES[name] for name in REQUIRED_COLUMNS[query] if name in TYPES}
    return conform_times(frame, also=TIMES).with_columns(pl.col(name).cast(dtype) for name, dtype in types.items())
