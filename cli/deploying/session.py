"""One plan from the files and the server, and carrying it out."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomflow.deployments.automations import build_automations
from anomflow.deployments.comparing import Comparison, Wish, compare
from anomflow.deployments.pace import Pace
from anomflow.deployments.wanted import Surroundings, build_wanted
from anomflow.errors import AnomflowError
from cli.deploying.api import open_api
from cli.deploying.applying import Applier, Outcome, come_in_parts
from cli.deploying.reading import Server, read_server

if TYPE_CHECKING:
    from anomflow.deployments import Deployment, DeployPlan


@dataclass(frozen=True)
class Drawn:
    """What differs, with what it was found from; ``requests`` is what finding it took, ``in_parts`` how new deployments are made."""

    wish: Wish
    server: Server
    comparison: Comparison
    requests: int
    in_parts: bool


def build_wish(plan: DeployPlan, deployments: Sequence[Deployment], only: str | None = None) -> Wish:
    """Build what the files say of a project, or of one batch; raises AnomflowError for a batch that has no deployments of its own."""
    if only is not None:
        deployments = [deployment for deployment in deployments if f"batch:{only}" in deployment.tags]
        if plan.spec.layout == "job":
            raise AnomflowError("--only cannot be used in the layout `job`, in which batches share their deployments")
    around = Surroundings(os.environ, str(Path.cwd()), {job: _read_schema(job) for job in sorted({item.job for item in deployments})})
    automations = [item for item in build_automations(deployments, plan.spec) if only is None or item.owner is not None]
    used = {item.work_pool.name for item in deployments}
    return Wish(
        plan.spec.project,
        {deployment.key: build_wanted(deployment, around) for deployment in deployments},
        {automation.name: automation for automation in automations},
        {name: pool.type for name, pool in plan.spec.pools.items() if name in used},
        only,
    )


def _read_schema(job: str) -> Mapping[str, Any]:
    from prefect.utilities.callables import parameter_schema  # noqa: PLC0415 - takes a second

    found: Mapping[str, Any] = parameter_schema(getattr(importlib.import_module(f"flows.{job}"), job)).model_dump(mode="json")
    return found


async def draw(plan: DeployPlan, wish: Wish, pace: Pace) -> Drawn:
    """Compare the files with the configured server; raises what stands in the way, and AnomflowError for a batch that nobody knows."""
    async with open_api(pace) as api:
        server = await read_server(api, plan.spec)
        comparison = compare(wish, server.found)
        if wish.only is not None and not wish.deployments and all(step.kind != "deployment" for step in comparison.steps):
            raise AnomflowError(f"--only names {wish.only!r}, of which there are no deployments, neither in the files nor on the server")
        return Drawn(wish, server, comparison, api.requests, come_in_parts(api, comparison))


async def carry_out(drawn: Drawn, pace: Pace) -> tuple[Outcome, int]:
    """Carry out what was drawn, and return what came of it with the number of requests; raises AnomflowError for conflicts."""
    if drawn.comparison.conflicts:
        raise AnomflowError("; ".join(drawn.comparison.conflicts) + ". Nothing was changed.")
    async with open_api(pace) as api:
        outcome = await Applier(api, drawn.wish, drawn.server, in_parts=drawn.in_parts).apply(drawn.comparison)
        return outcome, api.requests
