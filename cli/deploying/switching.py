"""Pause and resume a batch on the server.

A deployment's own flag ``paused`` remembers a pause: files never set it. Where batches share a deployment the batch's
schedule is switched off instead, and a trigger is switched off as an automation; which the files had off is remembered
there too, so a pause by hand is told from one of the files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomflow.deployments.automations import Automation, build_automations
from anomflow.deployments.building import slugify
from anomflow.deployments.pace import Pace
from anomflow.errors import AnomflowError
from cli.deploying.api import open_api
from cli.deploying.reading import Server, read_server

if TYPE_CHECKING:
    from anomflow.deployments import Deployment, DeployPlan
    from anomflow.deployments.found import FoundDeployment
    from cli.deploying.api import Api


@dataclass(frozen=True)
class Target:
    """The batch that is switched, or one job of it."""

    batch: str
    job: str | None
    paused: bool

    def selects(self, deployment: Deployment) -> bool:
        """Tell whether a deployment is meant: it is the batch's own, or has a schedule of it."""
        is_job = self.job in (None, deployment.job)
        has_schedule = any(schedule.parameters.get("batch") == self.batch for schedule in deployment.schedules)
        return is_job and (f"batch:{self.batch}" in deployment.tags or has_schedule)


async def switch(plan: DeployPlan, deployments: Sequence[Deployment], target: Target) -> list[str]:
    """Pause or resume, and return the deployments; raises AnomflowError where the server has none of them."""
    wanted = {item.key: item for item in deployments if target.selects(item)}
    async with open_api(Pace(plan.spec.requests_per_minute)) as api:
        server = await read_server(api, plan.spec)
        there = [server.found.deployments[key] for key in wanted if key in server.found.deployments]
        there = [item for item in there if item.belongs_to(plan.spec.project)]
        if not there:
            raise AnomflowError(
                f"the server has no deployments of the batch {target.batch!r}; look at anomflow plan, and run anomflow apply"
            )
        await asyncio.gather(*(_switch_deployment(api, item, wanted[item.key], target) for item in there))
        await _switch_triggers(api, server, [item for item in build_automations(deployments, plan.spec) if item.owner in wanted], target)
    return [item.key for item in there]


async def _switch_deployment(api: Api, there: FoundDeployment, wanted: Deployment, target: Target) -> None:
    is_shared = f"batch:{target.batch}" not in wanted.tags
    if not is_shared:
        await api.ask("POST", f"/deployments/{there.id}/{'pause' if target.paused else 'resume'}_deployment")
    for schedule in wanted.schedules:
        is_meant = schedule.active and schedule.slug in there.schedule_ids and (schedule.slug == slugify(target.batch) or not is_shared)
        # A pause of the whole deployment needs none of its schedules; one that was made in Prefect's UI is a schedule's.
        if is_meant and (is_shared or not target.paused):
            path = f"/deployments/{there.id}/schedules/{there.schedule_ids[schedule.slug]}"
            # Prefect empties the parameters of a schedule that is changed without them.
            parameters = there.fields["schedules"][schedule.slug]["parameters"]
            await api.ask("PATCH", path, {"active": not target.paused, "parameters": parameters})


async def _switch_triggers(api: Api, server: Server, automations: Sequence[Automation], target: Target) -> None:
    for automation in automations:
        there = server.found.automations.get(automation.name)
        if there is not None and automation.enabled:
            await api.ask("PATCH", f"/automations/{there.id}", {"enabled": not target.paused})
