"""Where a batch's rows come from: a query of its database, or its ingest function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomflow.batches import ingest_hook
from anomflow.conform import Conformed, conform_observations
from anomflow.hooks import run_ingest
from anomflow.sql import build_query
from tasks.effects import effect

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from anomflow.batches import Batch
    from anomflow.protocols import Warehouse


@effect("read source", retries=3)
def read_source(batch: Batch, source: Warehouse, folder: Path) -> Conformed:
    """Run the batch's query or function and return its rows in our shape, with the rejected ones and why."""
    rows = _query(batch, source, folder) if batch.spec.ingest.ingest_sql is not None else _call(batch)
    return conform_observations(rows, batch.spec.name, batch.spec.common.timezone)


def _query(batch: Batch, source: Warehouse, folder: Path) -> pl.DataFrame:
    with source.reading() as session:
        return session.read(build_query("ingest", batch, session, folder=folder))


def _call(batch: Batch) -> pl.DataFrame:
    return run_ingest(ingest_hook(batch), batch.spec.ingest.ingest_timeout.total_seconds())
