"""Work pools of the types that deploy.yaml names, made from the templates that the server or the installed worker has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.deploying.api import ApiError

if TYPE_CHECKING:
    from cli.deploying.api import Api


async def create_pool(api: Api, name: str, kind: str) -> None:
    """Create a work pool; raises ApiError for a type that the server does not have."""
    template = _read_process_template() if kind == "process" else await _read_template(api, kind)
    await api.ask("POST", "/work_pools/", {"name": name, "type": kind, "base_job_template": template})


def _read_process_template() -> dict[str, Any]:
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415 - takes a second

    template: dict[str, Any] = ProcessWorker.get_default_base_job_template()
    return template


async def _read_template(api: Api, kind: str) -> dict[str, Any]:
    views = await api.ask("GET", "/collections/views/aggregate-worker-metadata") or {}
    for workers in views.values():
        if kind in workers:
            template: dict[str, Any] = workers[kind]["default_base_job_configuration"]
            return template
    push = " (push pools are Prefect Cloud's)" if kind.endswith(":push") else ""
    raise ApiError(f"this server knows no work pools of the type {kind}{push}; use another type, or make the pool there yourself")
