"""Judge every point that has no score of its present value, once, and record what is worth an alert."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from anomflow.ledger.alerts import count_alerts
from flows.jobrun import Outcome, Request, Run, completed, find_timeout, finish, open_run, skipped
from tasks.history import load_feedback, read_awaiting
from tasks.judgement import judge_points, plan_points
from tasks.models import pin_version
from tasks.warehouse import judge_thresholds, prepare_tables, write_scores

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def score_stage(run: Run) -> Outcome:
    """Pin a model, find the points that await a judgement, score and judge them, write it all at once."""
    if run.spec.is_disabled("score"):
        return skipped("score")
    prepare_tables(run.warehouse, run.spec.common.table_key)
    pinned, notes = pin_version(run.shelf, run.as_of)
    features = pinned.features if pinned else (run.spec.features, run.spec.common.timezone)
    found = read_awaiting(run.library, pinned.version.checkpoint if pinned else run.as_of, features)
    if run.spec.ingest.disable_ingest:
        judge_thresholds(run.target, found.awaiting)
    if pinned is None:
        return finish(
            run, Outcome("score", {"points_waiting_for_a_model": found.awaiting.height}, notes=(*notes, "no model yet: run train"))
        )
    plan = plan_points(run.library, pinned, found)
    judged = judge_points(run.library, pinned, plan, load_feedback(run.library))
    if judged.scores.is_empty():
        return finish(run, Outcome("score", failures=judged.failures, notes=notes, worked=not judged.failures))
    recorded = write_scores(run.target, judged.rows, judged.judgements)
    counts = {
        "scored": judged.scores["anomaly"].count(),
        "without_a_score": judged.scores["anomaly"].null_count(),
        **count_alerts(recorded),
    }
    return finish(run, Outcome("score", counts, judged.failures, notes))


@flow(name="score", flow_run_name="score {batch}", timeout_seconds=find_timeout())
def score(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
) -> State[None]:
    """Judge every point that has no score of its present value."""
    return completed(score_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics))))
