"""Where a batch's rows come from: a query of its database, or its ingest function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomflow.conform import Conformed, conform_observations
from anomflow.hooks import build_hook, run_ingest
from anomflow.sql import build_query, check_columns
from tasks.effects import effect

if TYPE_CHECKING:
    import polars as pl

    from anomflow.batches import Batch
    from anomflow.protocols import Warehouse


@effect("read source", retries=3)
def read_source(batch: Batch, source: Warehouse) -> Conformed:
    """Run the batch's query or function and return its rows in our shape, with the rejected ones and why."""
    rows = _call(batch) if batch.function else _query(batch, source)
    check_columns(rows, "ingest", batch.name)
    return conform_observations(rows, batch.name, batch.spec.common.timezone)


def _query(batch: Batch, source: Warehouse) -> pl.DataFrame:
    with source.reading() as session:
        return session.read(build_query("ingest", batch, session, {}))


def _call(batch: Batch) -> pl.DataFrame:
    return run_ingest(build_hook(batch), batch.spec.ingest.ingest_timeout.total_seconds())
