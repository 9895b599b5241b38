"""What is wrong with deploying batches by a plan: all of it at once, before Prefect silently ignores it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from anomflow.deployments.batch_checks import check_batch
from anomflow.deployments.building import find_jobs, find_twin_jobs, select_batches, slugify
from anomflow.deployments.place_checks import check_place, check_stores
from anomflow.deployments.placement import Place, has_own, resolve
from anomflow.deployments.plan_checks import check_plan
from anomflow.errors import Problem
from anomflow.slicing import name_twin

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.deployments.plan import DeployPlan


def find_deploy_problems(batches: Iterable[Batch], plan: DeployPlan) -> tuple[Problem, ...]:
    """Find what is wrong with deploying batches, in the order of files and lines; each thing is told once."""
    selected = select_batches(batches, plan)
    found = dict.fromkeys((*check_plan(plan), *_check_names(selected), *_check_all(selected, plan)))
    return tuple(sorted(found, key=lambda problem: (problem.where, problem.line or 0)))


def _check_all(batches: list[Batch], plan: DeployPlan) -> Iterator[Problem]:
    jobs = find_jobs(plan)
    shares = plan.spec.layout == "job"
    if shares or not all(map(has_own, batches)):
        yield from (problem for job in jobs for problem in check_place(Place(plan, job)))
    for batch in batches:
        yield from check_batch(batch, plan, jobs)
        for job in dict.fromkeys((*jobs, *find_twin_jobs(batch))):
            place = Place(plan, job) if shares else Place(plan, job, batch)
            yield from check_stores(batch, resolve(place))
            if not shares and has_own(batch):
                yield from check_place(place)


def _check_names(batches: list[Batch]) -> Iterator[Problem]:
    """Report batches whose names differ in signs or capitals only: schedules and environment variables know no difference.

    So are those that have the name of another one's shards.
    """
    twins = {name_twin(batch.name): batch for batch in batches if find_twin_jobs(batch)}
    first: dict[str, Batch] = {}
    for batch in batches:
        if batch.name in twins:
            origin, other = batch.origins["metric_batch"], twins[batch.name]
            message = f"metric_batch {batch.name} is the name of the deployments of {other.name}'s shards; rename one of the two"
            yield Problem(origin.where, origin.line, message, "metric_batch")
        other = first.setdefault(slugify(batch.name), batch)
        if other is not batch:
            message = (
                f"metric_batch {batch.name} is the same as {other.name} ({other.origins['metric_batch']}) for schedules and"
                " environment variables, which know small letters and digits only; rename one of them"
            )
            origin = batch.origins["metric_batch"]
            yield Problem(origin.where, origin.line, message, "metric_batch")
