"""Learn from a batch's history: continue or rebuild the states of its metrics, publish them as a version."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from anomflow.series import drop_points
from anomflow.sight import build_seen, build_sight
from flows.jobrun import Outcome, Request, Run, completed, find_timeout, finish, open_run, skipped
from tasks.detection import fit_shards
from tasks.history import load_feedback, read_history, read_void_points
from tasks.models import Draft, drop_old_versions, pin_version, publish_version
from tasks.warehouse import drop_void_scores, prepare_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def train_stage(run: Run) -> Outcome:
    """Read the history, fit, publish; drop the scores of values that are others now."""
    spec = run.spec
    if spec.is_disabled("train"):
        return skipped("train")
    prepare_tables(run.warehouse, spec.common.table_key)
    shelf = run.shelf
    history = read_history(run.library)
    series = build_seen(history, build_sight(spec), run.as_of)
    pinned, notes = pin_version(shelf, run.as_of)
    learned = drop_points(series, load_feedback(run.library).points)
    fitted = fit_shards(learned, pinned.models if pinned else {}, run.batch)
    void = read_void_points(run.library, history)
    voided = drop_void_scores(run.target, void) if void.height else 0
    publish_version(
        shelf, Draft(fitted.models, run.as_of, run.clock.now(), spec.model_dump_json(include={"features", "detector", "models", "train"}))
    )
    dropped = drop_old_versions(shelf)
    counts = {
        "metrics_continued": fitted.continued,
        "metrics_rebuilt": fitted.rebuilt,
        "metrics_with_too_few_rows": fitted.cold,
        "scores_void": voided,
        "old_objects_dropped": dropped,
    }
    worked = bool(fitted.continued + fitted.rebuilt) or not fitted.failures
    return finish(run, Outcome("train", counts, fitted.failures, (*notes, *fitted.notes), worked))


@flow(name="train", flow_run_name="train {batch}", timeout_seconds=find_timeout())
def train(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
) -> State[None]:
    """Learn from a batch's history and publish a version of its models."""
    return completed(train_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics))))
