"""Bring a batch's new and changed rows in, and check them against static thresholds."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from prefect import flow

from anomflow.ingestion import build_incoming, feed_points, quote_rejected
from flows.jobrun import Request, Run, find_timeout, open_run
from flows.outcomes import Outcome, completed, finish, skipped
from tasks.sources import read_source
from tasks.warehouse import prepare_tables, write_observations

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def ingest_stage(run: Run) -> Outcome:
    """Read the source, write what is new or changed, record breaches of thresholds with it."""
    if run.spec.is_disabled("ingest"):
        return skipped("ingest")
    prepare_tables(run.warehouse, run.spec.common.table_key)
    conformed = read_source(run.batch, run.source)
    run.catch_up()
    incoming = build_incoming(conformed.observations, run.spec, run.as_of, keep_future=run.is_live)
    buckets = partial(feed_points, features=run.spec.features, timezone=run.spec.common.timezone)
    written = write_observations(run.target, incoming, buckets)
    counts = {
        "new": written.new,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "rejected": conformed.rejected.height,
        "after_as_of": incoming.future,
        "outdated": incoming.outdated,
        "dropped": written.dropped,
        "threshold_alerts": written.breaches.opened,
    }
    return finish(run, Outcome("ingest", counts, notes=quote_rejected(conformed.rejected)))


@flow(name="ingest", flow_run_name="ingest {batch}", timeout_seconds=find_timeout())
def ingest(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
) -> State[None]:
    """Bring a batch's new and changed rows in."""
    return completed(ingest_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics))))
