"""Carry out what differs: first what is new or changed, and only when all of that worked what is removed.

Each step leaves the server in a state from which the same command goes on, so one that was interrupted is run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomflow.deployments.automations import BLOCK_REF, DEPLOYMENT_REF
from anomflow.deployments.comparing import Comparison, Kind, Step, Wish, is_held
from anomflow.deployments.wanted import scrub
from cli.deploying.api import ApiError
from cli.deploying.block_types import register
from cli.deploying.channels import save_channel
from cli.deploying.pools import create_pool
from cli.deploying.requests import build_automation, build_deployment

if TYPE_CHECKING:
    from cli.deploying.api import Api
    from cli.deploying.reading import Server


@dataclass
class Outcome:
    """What came of the steps: those that were done, why others were not, and those that were not tried because of these."""

    done: list[Step] = field(default_factory=list)
    failed: list[tuple[Step, str]] = field(default_factory=list)
    skipped: list[Step] = field(default_factory=list)


def come_in_parts(api: Api, comparison: Comparison) -> bool:
    """Tell whether the schedules of new deployments are requests of their own, since that costs the server less."""
    return api.is_cheap(len(comparison.steps) + len(comparison.new_deployments))


class Applier:
    """Carry out the steps of a comparison on the server that it was made with."""

    def __init__(self, api: Api, wish: Wish, server: Server, *, in_parts: bool) -> None:
        self._api, self._wish, self._server, self._in_parts = api, wish, server, in_parts
        self._flows: dict[str, str] = dict(server.flows)
        self._ids = {f"{DEPLOYMENT_REF}{key}": there.id for key, there in server.found.deployments.items()}
        self._ids |= {f"{BLOCK_REF}{reference}": id_ for reference, id_ in server.documents.items()}
        self.outcome = Outcome()

    async def apply(self, comparison: Comparison) -> Outcome:
        """Carry out all steps; a step that the server refuses is told, its neighbours go on."""
        makes: Mapping[Kind, Callable[[Step], Awaitable[None]]] = {
            "pool": self._make_pool,
            "block type": self._make_block_type,
            "channel": self._make_channel,
            "deployment": self._make_deployment,
            "automation": self._make_automation,
        }
        await self._make_flows(comparison)
        for kind, make in makes.items():
            await self._run(make, (step for step in comparison.steps if step.kind == kind and step.action != "remove"))
        removals = [step for step in comparison.steps if step.action == "remove"]
        if self.outcome.failed:
            self.outcome.skipped += removals
        else:
            # A deployment takes its automations with it.
            for kind in ("automation", "deployment"):
                await self._run(self._remove, (step for step in removals if step.kind == kind))
        return self.outcome

    async def _run(self, act: Callable[[Step], Awaitable[None]], steps: Iterable[Step]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for step in steps:
                    group.create_task(self._try(act, step))
        except ExceptionGroup as errors:  # one server, one reason
            raise errors.exceptions[0] from None

    async def _try(self, act: Callable[[Step], Awaitable[None]], step: Step) -> None:
        if self._lacks(step):
            self.outcome.skipped.append(step)
            return
        try:
            await act(step)
        except ApiError as error:
            self.outcome.failed.append((step, str(error)))
        else:
            self.outcome.done.append(step)

    def _lacks(self, step: Step) -> bool:
        """Tell whether a step needs what could not be made before it: a deployment its pool, an automation its deployments."""
        if step.action == "remove":
            return False
        if step.kind == "deployment":
            pool = self._wish.deployments[step.name].fields["work_pool"]
            return any((other.kind, other.name) == ("pool", pool) for other, _ in self.outcome.failed)
        is_automation = step.kind == "automation"
        return is_automation and any(ref.startswith(DEPLOYMENT_REF) and ref not in self._ids for ref in self._find_references(step.name))

    async def _make_flows(self, comparison: Comparison) -> None:
        jobs = {name.partition("/")[0] for name in comparison.new_deployments}
        for job in sorted(jobs - self._flows.keys()):
            self._flows[job] = (await self._api.ask("POST", "/flows/", {"name": job}))["id"]

    async def _make_pool(self, step: Step) -> None:
        await create_pool(self._api, step.name, self._wish.pools[step.name])

    async def _make_block_type(self, step: Step) -> None:
        await register(self._api, step.name)

    async def _make_channel(self, step: Step) -> None:
        self._ids[f"{BLOCK_REF}{step.name}"] = await save_channel(self._api, self._server.channels[step.name])

    async def _make_deployment(self, step: Step) -> None:
        there = self._server.found.deployments.get(step.name)
        if there is not None and there.applied is None:
            # Of `prefect deploy`: triggers that ours would double.
            await self._api.ask("DELETE", f"/automations/owned-by/prefect.deployment.{there.id}")
        flow_id = self._flows[step.name.partition("/")[0]]
        wanted = self._wish.deployments[step.name]
        request = build_deployment(wanted, there, flow_id)
        # Prefect's server reads the whole time zone database at each look at a schedule: eight times if it comes with its deployment,
        # three times if it is added. Only to what is new: between the two, it would be forgotten what is paused by hand.
        added = request.pop("schedules") if self._in_parts and there is None else []
        try:
            made = await self._api.ask("POST", "/deployments/", request)
            if added:
                await self._api.ask("POST", f"/deployments/{made['id']}/schedules", added)
        except ApiError as error:
            raise ApiError(scrub(str(error), wanted)) from None
        self._ids[f"{DEPLOYMENT_REF}{step.name}"] = made["id"]

    async def _make_automation(self, step: Step) -> None:
        wanted = self._wish.automations[step.name]
        if missing := next((ref for ref in self._find_references(step.name) if ref not in self._ids), None):
            raise ApiError(f"{missing.partition(':')[2]} is not on the server")
        there = self._server.found.automations.get(step.name)
        enabled = wanted.enabled and not (there is not None and is_held(there, wanted))
        body = build_automation(wanted, self._wish.project, self._ids, enabled=enabled)
        if there is not None:
            await self._api.ask("PUT", f"/automations/{there.id}", body)
            return
        owner = {} if wanted.owner is None else {"owner_resource": f"prefect.deployment.{self._ids[DEPLOYMENT_REF + wanted.owner]}"}
        await self._api.ask("POST", "/automations/", body | owner)

    def _find_references(self, name: str) -> list[str]:
        values = [value for action in self._wish.automations[name].actions for value in action.values()]
        return [value for value in values if isinstance(value, str) and value.startswith((DEPLOYMENT_REF, BLOCK_REF))]

    async def _remove(self, step: Step) -> None:
        await self._api.ask("DELETE", f"/{step.kind}s/{step.id}", absent_ok=True)
