"""The requests by which a server gets what is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anomflow.deployments.automations import BLOCK_REF, DEPLOYMENT_REF, OFF_TAG, Automation
from anomflow.deployments.comparing import hold, mark
from anomflow.deployments.found import LABEL, FoundDeployment
from anomflow.deployments.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator


def build_deployment(wanted: Wanted, there: FoundDeployment | None, flow_id: str) -> dict[str, Any]:
    """Build the request that makes or replaces a deployment; whether it is paused stays as it is."""
    fields = hold(wanted, there).fields
    applied = mark(wanted)
    limit = fields["concurrency"] or {}
    return {
        "name": wanted.key.partition("/")[2],
        "flow_id": flow_id,
        "entrypoint": fields["entrypoint"],
        "description": fields["description"],
        "tags": fields["tags"],
        "labels": {LABEL: json.dumps({"marks": applied.marks, "off": applied.off})},
        "parameters": fields["parameters"],
        "parameter_openapi_schema": fields["parameter_schema"],
        "enforce_parameter_schema": True,
        "work_pool_name": fields["work_pool"],
        "work_queue_name": fields["work_queue"],
        "job_variables": fields["job_variables"],
        "pull_steps": fields["pull_steps"],
        "concurrency_limit": limit.get("limit"),
        "concurrency_options": {"collision_strategy": limit["collision_strategy"]} if limit else None,
        "schedules": list(_build_schedules(fields["schedules"])),
    }


def _build_schedules(schedules: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for slug, schedule in schedules.items():
        when = {"cron": schedule["cron"], "timezone": schedule["timezone"]}
        yield {"slug": slug, "schedule": when, "active": schedule["active"], "parameters": schedule["parameters"]}


def build_automation(wanted: Automation, project: str, ids: Mapping[str, str], *, enabled: bool) -> dict[str, Any]:
    """Build the request that makes or replaces an automation; ``ids`` are those of the server by reference."""
    off = [] if wanted.enabled else [OFF_TAG]
    return {
        "name": wanted.name,
        "description": "Made by `anomflow apply` from deploy.yaml and the batches.",
        "enabled": enabled,
        "tags": ["anomflow", f"project:{project}", *off],
        "trigger": wanted.trigger,
        "actions": [{name: _resolve(value, ids) for name, value in action.items()} for action in wanted.actions],
    }


def _resolve(value: Any, ids: Mapping[str, str]) -> Any:
    is_reference = isinstance(value, str) and value.startswith((DEPLOYMENT_REF, BLOCK_REF))
    return ids[value] if is_reference else value
