"""The deployments of batches, by the layout of the plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from anomflow.deploy_spec import DeployJob
from anomflow.deployments.deployment import After, Deployment, Schedule, WorkPool
from anomflow.deployments.placement import Place, resolve
from anomflow.deployments.plan import DeployPlan
from anomflow.deployments.variables import build_job_variables, build_pull
from anomflow.slicing import name_twin
from anomflow.spec import JOBS, Job

if TYPE_CHECKING:
    from anomflow.batches import Batch

LAYOUT_JOBS: Final[dict[str, tuple[DeployJob, ...]]] = {
    "batch_job": ("ingest", "train", "score", "change", "alert", "plot"),
    "job": ("ingest", "train", "score", "change", "alert", "plot"),
    "pipeline": ("pipeline", "plot"),
}
_WORDS: Final[dict[DeployJob, str]] = {
    "ingest": "Brings new and changed rows in",
    "train": "Learns from history",
    "score": "Judges rows that have no score yet",
    "change": "Finds metrics whose level changed",
    "alert": "Delivers open alerts",
    "plot": "Publishes charts",
    "pipeline": "Runs the whole chain once",
    "backtest": "Replays history; started by hand",
}


def slugify(name: str) -> str:
    """Return a batch's name as schedules are called: small letters, digits and dashes.

    >>> slugify("Web_Shop.eu")
    'web-shop-eu'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def find_jobs(plan: DeployPlan) -> tuple[DeployJob, ...]:
    """Return the jobs that the plan deploys: those of its layout, then those that are started by hand."""
    jobs = LAYOUT_JOBS[plan.spec.layout]
    return (*jobs, *(job for job in plan.spec.manual_jobs if job not in jobs))


def select_batches(batches: Iterable[Batch], plan: DeployPlan) -> list[Batch]:
    """Return the batches that are deployed, by name: all, but examples that are off or not wanted."""
    return sorted((batch for batch in batches if _is_deployed(batch, plan)), key=lambda batch: batch.name)


def _is_deployed(batch: Batch, plan: DeployPlan) -> bool:
    is_example = batch.path.is_relative_to(batch.folder / "examples")
    return not is_example or (plan.spec.examples and not batch.spec.common.disable_batch)


def build_deployments(batches: Iterable[Batch], plan: DeployPlan) -> tuple[Deployment, ...]:
    """Build the deployments of batches in a stable order: by batch and job, in the layout ``job`` by job."""
    selected = select_batches(batches, plan)
    twins = tuple(_build_twin(Place(plan, job, batch), batch) for batch in selected for job in find_twin_jobs(batch))
    if plan.spec.layout == "job":
        return (*(_build_shared(job, selected, plan) for job in find_jobs(plan)), *twins)
    jobs = find_jobs(plan)
    return (*(_build_own(Place(plan, job, batch), batch) for batch in selected for job in jobs), *twins)


def find_twin_jobs(batch: Batch) -> tuple[DeployJob, ...]:
    """Return the jobs of a batch whose shards are runs of a deployment of their own."""
    models = batch.spec.models
    return ("train", "score") if models.scale_out == "deployments" and models.shards > 1 else ()


def _build_twin(place: Place, batch: Batch) -> Deployment:
    """Build the deployment whose runs are the shards of a job's runs: without a schedule, and a limit, which would cancel them."""
    job, layout = place.job, place.plan.spec.layout
    base = _build_base(place, name_twin(batch.name))
    return replace(
        base,
        description=f"A shard of {job}, started by the runs that wait for it. Batch: {batch.path.as_posix()}",
        # Its runs are none of the job's: what follows the job does not follow them.
        tags=tuple(f"{tag}-shard" if tag == f"job:{job}" else tag for tag in base.tags),
        parameters=_parameters(batch, place.plan),
        limit=None,
        starter=None if layout == "job" else f"{'pipeline' if layout == 'pipeline' else job}/{batch.name}",
        runs_per_start=batch.spec.models.shards,
    )


def _build_own(place: Place, batch: Batch) -> Deployment:
    schedule = build_schedule(place.job, batch, place.plan)
    return replace(
        _build_base(place, batch.name),
        description=_describe(place, batch),
        parameters=_parameters(batch, place.plan),
        schedules=() if schedule is None else (schedule,),
        after=_build_after(place, batch),
        limit=1,
    )


def _build_shared(job: DeployJob, batches: Sequence[Batch], plan: DeployPlan) -> Deployment:
    schedules = (build_schedule(job, batch, plan) for batch in batches)
    return replace(
        _build_base(Place(plan, job), plan.spec.project),
        description=f"{_WORDS[job]}, for each batch by a schedule of its own.",
        schedules=tuple(schedule for schedule in schedules if schedule is not None),
        # A limit would cancel the runs of neighbours that share the deployment.
        limit=None,
    )


def _build_base(place: Place, name: str) -> Deployment:
    placement = resolve(place)
    work_pool = WorkPool(placement.pool_name, placement.queue, build_job_variables(placement))
    return Deployment(place.job, name, "", _build_tags(place), work_pool, pull=build_pull(placement.pool))


def _build_tags(place: Place) -> tuple[str, ...]:
    spec, batch = place.plan.spec, place.batch
    names = [f"batch:{batch.name}"] if batch is not None else []
    own = batch.spec.deploy.deploy.tags if batch is not None else ()
    return tuple(dict.fromkeys(["anomflow", f"project:{spec.project}", *names, f"job:{place.job}", *spec.tags, *own]))


def build_schedule(job: DeployJob, batch: Batch, plan: DeployPlan) -> Schedule | None:
    """Build the schedule of a batch's job, paused where the job is switched off or started otherwise; None: it has none."""
    if job == "backtest":
        return None
    cron = str(batch.value(f"{job}_cron_schedule"))
    is_started = batch.spec.trigger(job) == "cron" and job in LAYOUT_JOBS[plan.spec.layout]
    schedule = Schedule(cron, batch.spec.common.timezone, is_started and batch.spec.is_scheduled(job))
    if plan.spec.layout != "job":
        return schedule
    return replace(schedule, slug=slugify(batch.name), parameters=_parameters(batch, plan))


def find_predecessor(job: DeployJob, batch: Batch, plan: DeployPlan) -> Job | None:
    """Return the job after which a batch's job starts in the layout of the plan; None where something else starts it."""
    if job == "backtest" or job not in LAYOUT_JOBS[plan.spec.layout]:
        return None
    words = batch.spec.trigger(job).split()
    return next((other for other in JOBS if words == ["after", other]), None)


def _build_after(place: Place, batch: Batch) -> After | None:
    job, other = place.job, find_predecessor(place.job, batch, place.plan)
    if job == "backtest" or other is None:
        return None
    tags = (f"project:{place.plan.spec.project}", f"batch:{batch.name}", f"job:{other}")
    return After(other, batch.name, tags, batch.spec.is_scheduled(job))


def _parameters(batch: Batch, plan: DeployPlan) -> dict[str, str]:
    return {"batch": batch.name} if plan.metrics == "metrics" else {"batch": batch.name, "metrics": plan.metrics}


def _describe(place: Place, batch: Batch) -> str:
    path = batch.path.as_posix()
    links = place.plan.spec.links
    where = f"[{path}]({links.rstrip('/')}/{path})" if links else path
    docs = f" ([about batches]({links.rstrip('/')}/docs/batches.md))" if links else ""
    return f"{_WORDS[place.job]}. Batch: {where}{docs}"
