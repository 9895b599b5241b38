"""Find the metrics whose level changed, once per change, and record what is worth an alert."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from anomflow.ledger.alerts import count_alerts
from flows.jobrun import Request, Run, find_timeout, open_run
from flows.outcomes import Outcome, completed, finish, skipped
from tasks.change import judge_changes, read_recent, write_changes
from tasks.warehouse import prepare_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def change_stage(run: Run) -> Outcome:
    """Read the recent rows, look for changes of level, record them."""
    if run.spec.is_disabled("change"):
        return skipped("change")
    prepare_tables(run.warehouse, run.spec.common.table_key)
    series = read_recent(run.library)
    recorded = write_changes(run.library, judge_changes(run.library, series))
    return finish(run, Outcome("change", count_alerts([recorded])))


@flow(name="change", flow_run_name="change {batch}", timeout_seconds=find_timeout())
def change(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
) -> State[None]:
    """Find the metrics whose level changed."""
    return completed(change_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics))))
