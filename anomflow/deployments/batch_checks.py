"""What is wrong with deploying one batch: its triggers, tags and own templates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from anomflow.batches.layers import Layer
from anomflow.deployments.building import LAYOUT_JOBS, find_predecessor
from anomflow.deployments.plan_checks import find_templates, is_reserved
from anomflow.deployments.templates import find_template
from anomflow.errors import Problem

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.deploy_spec import DeployJob
    from anomflow.deployments.plan import DeployPlan


def check_batch(batch: Batch, plan: DeployPlan, jobs: Sequence[DeployJob]) -> Iterator[Problem]:
    """Report what is wrong with a batch in any of its jobs."""
    layer = Layer(origins=batch.paths)
    deploy = batch.spec.deploy.deploy
    if deploy.model_fields_set:
        for path, message in find_templates(deploy.model_dump(exclude_unset=True), ("deploy",)):
            yield layer.problem(path, message)
    for index, tag in enumerate(deploy.tags):
        if is_reserved(tag):
            yield layer.problem(("deploy", "tags", index), f"deploy.tags has {tag!r}, of a kind that Anomflow gives itself")
    if find_template(batch.path.as_posix()):
        yield Problem(batch.path.as_posix(), None, "the path holds braces, which Prefect would take for a template; rename it")
    if plan.spec.layout == "job" and deploy.model_fields_set:
        message = "deploy has no effect in the layout `job`, in which batches share their deployments; use another layout, or remove it"
        yield layer.problem(("deploy",), message)
    yield from _check_triggers(batch, plan, jobs)


def _check_triggers(batch: Batch, plan: DeployPlan, jobs: Sequence[DeployJob]) -> Iterator[Problem]:
    deployed = LAYOUT_JOBS[plan.spec.layout]
    for job in jobs:
        other = find_predecessor(job, batch, plan)
        if other is None or (plan.spec.layout != "job" and other in deployed):
            continue
        reason = "does not deploy: " + ", ".join(deployed)
        if plan.spec.layout == "job":
            reason = "cannot do: the runs of all batches share a deployment"
        origin = batch.origins[f"{job}_trigger"]
        message = f"{job}_trigger is 'after {other}', which the layout `{plan.spec.layout}` {reason}"
        yield Problem(origin.where, origin.line, message, f"{job}_trigger")
