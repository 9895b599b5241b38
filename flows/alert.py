"""Find the metrics whose rows are overdue, and deliver the open alerts of a batch: group, claim, send, mark each on its own."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from flows.jobrun import Request, Run, find_timeout, open_run
from flows.outcomes import Outcome, completed, finish, skipped
from tasks.completeness import judge_completeness
from tasks.delivery import claim, deliver, group_alerts
from tasks.outbox import Outbox
from tasks.warehouse import prepare_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def alert_stage(run: Run) -> Outcome:
    """Judge volume, freshness and gaps, then group, claim, send and mark; a channel that fails is tried again by later runs, alone."""
    if run.spec.is_disabled("alert"):
        return skipped("alert")
    prepare_tables(run.warehouse, run.spec.common.table_key)
    outbox = Outbox(run.library, run.clock, run.run_id, run.load_notifier)
    judged = judge_completeness(run.library)
    grouped = group_alerts(outbox, run.channels)
    states = [deliver(outbox, delivery) for delivery in claim(outbox)]
    given_up = [result for result in states if result.state == "given_up"]
    counts = {
        "drops_in_volume": judged.drop.opened,
        "overdue": judged.overdue.opened,
        "overdue_but_late": judged.overdue.late,
        "with_missing_rows": judged.gaps.opened,
        "back": judged.recovered,
        "messages": int(grouped is not None),
        "sent": sum(result.state == "sent" for result in states),
        "resolved": sum(result.state == "resolved" for result in states),
        "to_try_again": sum(result.state == "failed" for result in states),
        "cancelled": sum(result.state == "cancelled" for result in states),
        "given_up": len(given_up),
    }
    notes = [f"{result.channel}: {result.error}" for result in states if result.error]
    return finish(run, Outcome("alert", counts, notes=notes, worked=not given_up))


@flow(name="alert", flow_run_name="alert {batch}", timeout_seconds=find_timeout())
def alert(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
    send: bool = False,
) -> State[None]:
    """Deliver the open alerts of a batch; over past times only to `file` and `console`, unless `send` is set."""
    return completed(alert_stage(open_run(Request(batch, as_of, settings or {}, send, metrics))))
