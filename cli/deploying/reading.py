"""Read what a server holds of a project, in the words of the files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anomflow.deploy_spec import DEPLOY_JOBS
from anomflow.deployments.automations import BLOCK_REF, DEPLOYMENT_REF
from anomflow.deployments.found import LABEL, Applied, Found, FoundAutomation, FoundDeployment
from cli.deploying.block_types import find_missing
from cli.deploying.channels import Channel, read_channels

if TYPE_CHECKING:
    from anomflow.deploy_spec import DeployFile
    from cli.deploying.api import Api


@dataclass(frozen=True)
class Server:
    """What is on a server, and its ids: of flows by name, of the documents of channels by reference."""

    found: Found
    flows: Mapping[str, str]
    documents: Mapping[str, str]
    channels: Mapping[str, Channel]


async def read_server(api: Api, spec: DeployFile) -> Server:
    """Read everything that is the project's, or has a name that a deployment of ours could have."""
    ours = {"all_": ["anomflow", f"project:{spec.project}"]}
    flows, deployments, automations, pools, missing, channels = await asyncio.gather(
        api.read_all("/flows/filter", {"flows": {"name": {"any_": list(DEPLOY_JOBS)}}}),
        api.read_all("/deployments/filter", {"flows": {"name": {"any_": list(DEPLOY_JOBS)}}, "sort": "NAME_ASC"}),
        api.read_all("/automations/filter", {"automations": {"tags": ours}}),
        api.read_all("/work_pools/filter", {}),
        find_missing(api),
        read_channels(api, spec.watch.failure_methods, spec.project),
    )
    names = {flow["id"]: flow["name"] for flow in flows}
    documents = {reference: channel.id for reference, channel in channels.items() if channel.id is not None}
    there = [read_deployment(names[item["flow_id"]], item) for item in deployments]
    refs = {item.id: f"{DEPLOYMENT_REF}{item.key}" for item in there} | {id_: f"{BLOCK_REF}{ref}" for ref, id_ in documents.items()}
    found = Found(
        {item.key: item for item in there},
        {item["name"]: _read_automation(item, refs) for item in automations},
        {item["name"]: item["type"] for item in pools},
        missing,
        tuple(reference for reference, channel in channels.items() if channel.is_stale),
    )
    return Server(found, {flow["name"]: flow["id"] for flow in flows}, documents, channels)


def read_deployment(flow: str, item: Mapping[str, Any]) -> FoundDeployment:
    """Read a deployment as the API writes it."""
    schedules = {schedule["slug"] or schedule["id"]: schedule for schedule in item["schedules"]}
    fields = {
        "entrypoint": item["entrypoint"],
        "description": item["description"],
        "tags": list(item["tags"]),
        "parameters": item["parameters"],
        "schedules": {slug: _read_schedule(schedule) for slug, schedule in schedules.items()},
        "work_pool": item["work_pool_name"],
        "work_queue": item["work_queue_name"],
        "job_variables": item["job_variables"],
        "concurrency": _read_concurrency(item),
        "pull_steps": item["pull_steps"],
        "parameter_schema": item["parameter_openapi_schema"],
    }
    ids = {slug: schedule["id"] for slug, schedule in schedules.items()}
    applied = _read_applied((item.get("labels") or {}).get(LABEL))
    return FoundDeployment(f"{flow}/{item['name']}", item["id"], fields, bool(item["paused"]), applied, ids)


def _read_schedule(item: Mapping[str, Any]) -> dict[str, Any]:
    rule = item["schedule"]
    when = {"cron": rule["cron"], "timezone": rule["timezone"]} if "cron" in rule else {"other": rule}
    return {**when, "active": item["active"], "parameters": item.get("parameters") or {}}


def _read_concurrency(item: Mapping[str, Any]) -> dict[str, Any] | None:
    limit = item.get("global_concurrency_limit")
    if not limit:
        return None
    return {"limit": limit["limit"], "collision_strategy": (item.get("concurrency_options") or {}).get("collision_strategy")}


def _read_applied(text: object) -> Applied | None:
    """Read our label; one that somebody wrote over counts as none."""
    try:
        value = json.loads(str(text))
        return Applied(dict(value["marks"]), tuple(value["off"]))
    except (ValueError, KeyError, TypeError):
        return None


def _read_automation(item: Mapping[str, Any], refs: Mapping[str, str]) -> FoundAutomation:
    actions = tuple(_name_ids(action, refs) for action in item["actions"])
    return FoundAutomation(item["name"], item["id"], item["trigger"], actions, item["enabled"], tuple(item["tags"]))


def _name_ids(action: Mapping[str, Any], refs: Mapping[str, str]) -> dict[str, Any]:
    return {name: refs.get(value, value) if isinstance(value, str) else value for name, value in action.items()}
