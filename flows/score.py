"""Judge every point that has no score of its present value, once, and record what is worth an alert."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from flows.jobrun import Request, Run, find_timeout, open_run
from flows.outcomes import Outcome, completed, finish, hand_over, skipped, sum_up
from tasks.handover import forget, gather
from tasks.history import load_feedback
from tasks.models import pin_version
from tasks.scoring import Exam, score_slices
from tasks.shard_runs import run_shards
from tasks.warehouse import prepare_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from tasks.shard_runs import ShardRuns


def score_stage(run: Run) -> Outcome:
    """Pin a model, find the points that await a judgement, score and judge them, write what belongs together at once."""
    if run.spec.is_disabled("score"):
        return skipped("score")
    prepare_tables(run.warehouse, run.spec.common.table_key)
    order = run.build_order("score")
    if order is not None:
        return finish(run, sum_up_shards(run, run_shards(order, run.shelf)))
    pinned, notes = pin_version(run.shelf, run.as_of, run.parts)
    scored = score_slices(Exam(run.library, run.target, pinned, load_feedback(run.library)))
    if pinned is None:
        notes = (*notes, "no model yet: run train")
    outcome = Outcome("score", scored.counts, scored.failures, notes, scored.worked)
    hand_over(run, outcome)
    return finish(run, outcome)


def sum_up_shards(run: Run, runs: ShardRuns) -> Outcome:
    """Return the outcome of the runs of all shards, whose results are in the table."""
    outcome = sum_up("score", gather(run.shelf, runs, run.clock.now()))
    forget(run.shelf, runs)
    return outcome


@flow(name="score", flow_run_name="score {batch}", timeout_seconds=find_timeout())
def score(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
    *,
    shard: int | None = None,
    parent: str | None = None,
) -> State[None]:
    """Judge every point that has no score of its present value."""
    return completed(score_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics, shard=shard, parent=parent))))
