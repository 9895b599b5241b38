"""Learn from a batch's history: continue or rebuild the states of its metrics, publish them as a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from flows.jobrun import Request, Run, find_timeout, open_run
from flows.outcomes import Outcome, completed, finish, hand_over, skipped, sum_up
from tasks.handover import forget, gather
from tasks.history import load_feedback
from tasks.learning import Lesson, fill_shards, learn
from tasks.models import Draft, pin_version, publish_version
from tasks.retention import drop_old_models
from tasks.shard_runs import run_shards
from tasks.warehouse import prepare_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from anomflow.versions import Published
    from tasks.shard_runs import ShardRuns


def train_stage(run: Run) -> Outcome:
    """Read the history, drop the scores of values that are others now, fit, publish."""
    if run.spec.is_disabled("train"):
        return skipped("train")
    prepare_tables(run.warehouse, run.spec.common.table_key)
    order = run.build_order("train")
    if order is not None:
        return finish(run, publish_shards(run, run_shards(order, run.shelf)))
    pinned, notes = pin_version(run.shelf, run.as_of, run.parts)
    learned = learn(Lesson(run.library, run.target, run.shelf, pinned, load_feedback(run.library)))
    outcome = Outcome("train", learned.counts, learned.failures, (*notes, *learned.notes), learned.worked)
    if run.part is None:
        return finish(run, _publish(run, learned.shards, outcome))
    hand_over(run, outcome, learned.shards[0])
    return finish(run, outcome)


def publish_shards(run: Run, runs: ShardRuns) -> Outcome:
    """Publish what the runs of all shards learned as one version, unless every one of them was lost."""
    gathered = gather(run.shelf, runs, run.clock.now())
    outcome = sum_up("train", gathered)
    if outcome.worked:
        outcome = _publish(run, fill_shards(run.shelf, run.batch, gathered, run.as_of), outcome)
    forget(run.shelf, runs)
    return outcome


def _publish(run: Run, shards: Sequence[Published], outcome: Outcome) -> Outcome:
    settings = run.spec.model_dump_json(include={"features", "detector", "models", "train"})
    publish_version(run.shelf, Draft(shards, run.as_of, run.clock.now(), settings))
    dropped = drop_old_models(run.shelf)
    counts = {**outcome.counts, "old_objects_dropped": dropped.objects}
    return replace(outcome, counts=counts, notes=(*outcome.notes, *dropped.notes))


@flow(name="train", flow_run_name="train {batch}", timeout_seconds=find_timeout())
def train(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
    *,
    shard: int | None = None,
    parent: str | None = None,
) -> State[None]:
    """Learn from a batch's history and publish a version of its models."""
    return completed(train_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics, shard=shard, parent=parent))))
