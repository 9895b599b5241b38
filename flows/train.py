"""Learn from a batch's history: continue or rebuild the states of its metrics, publish them as a version."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from flows.jobrun import Outcome, Request, Run, completed, find_timeout, finish, open_run, skipped
from tasks.history import load_feedback
from tasks.learning import Lesson, learn
from tasks.models import Draft, drop_old_versions, pin_version, publish_version
from tasks.warehouse import prepare_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def train_stage(run: Run) -> Outcome:
    """Read the history, drop the scores of values that are others now, fit, publish."""
    spec = run.spec
    if spec.is_disabled("train"):
        return skipped("train")
    prepare_tables(run.warehouse, spec.common.table_key)
    shelf = run.shelf
    pinned, notes = pin_version(shelf, run.as_of)
    learned = learn(Lesson(run.library, run.target, shelf, pinned, load_feedback(run.library)))
    settings = spec.model_dump_json(include={"features", "detector", "models", "train"})
    publish_version(shelf, Draft(learned.shards, run.as_of, run.clock.now(), settings))
    counts = {**learned.counts, "old_objects_dropped": drop_old_versions(shelf)}
    return finish(run, Outcome("train", counts, learned.failures, (*notes, *learned.notes), learned.worked))


@flow(name="train", flow_run_name="train {batch}", timeout_seconds=find_timeout())
def train(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
) -> State[None]:
    """Learn from a batch's history and publish a version of its models."""
    return completed(train_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics))))
