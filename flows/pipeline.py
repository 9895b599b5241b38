"""The chain in one run: ingest, train when it is due, score, change, alert."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from flows.alert import alert_stage
from flows.change import change_stage
from flows.ingest import ingest_stage
from flows.jobrun import Request, Run, find_timeout, open_run
from flows.outcomes import Outcome, completed, skipped
from flows.score import score_stage
from flows.train import train_stage
from tasks.models import is_train_due

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def pipeline_stages(run: Run) -> list[Outcome]:
    """Run the stages one after another; a stage that fails ends the chain, and the next run takes up where it was."""
    if run.spec.is_disabled("pipeline"):
        return [skipped("pipeline")]
    outcomes = [ingest_stage(run)]
    run.catch_up()
    if is_train_due(run.shelf, run.as_of):
        outcomes.append(train_stage(run))
    return [*outcomes, score_stage(run), change_stage(run), alert_stage(run)]


@flow(name="pipeline", flow_run_name="pipeline {batch}", timeout_seconds=find_timeout())
def pipeline(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
    send: bool = False,
) -> State[None]:
    """Run the whole chain of a batch once."""
    return completed(*pipeline_stages(open_run(Request(batch, as_of, settings or {}, send, metrics))))
