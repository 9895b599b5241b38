"""A placement in the words of each pool type: job variables and pull steps."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from anomflow.batches.layers import merge_values
from anomflow.deploy_spec import HEARTBEAT_VARIABLE, TIMEOUT_VARIABLE, PoolSpec, parse_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.deployments.placement import Placement

# A platform's own limit comes later than that of the flow, and ends what does not end itself.
_GRACE_SECONDS: Final = 120
_STEPS: Final = "prefect.deployments.steps"

# How the fields of a platform are called among the job variables of its type; what is not there means nothing to it.
POOL_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "process": {},
    "cloud-run-v2": {"region": "region", "network": "vpc_connector_name", "service_account": "service_account_name"},
    "ecs": {"network": "vpc_id", "cluster": "cluster", "task_role": "task_role_arn", "execution_role": "execution_role_arn"},
}
PLATFORM_FIELDS: Final = tuple(dict.fromkeys(field for fields in POOL_FIELDS.values() for field in fields))


def find_worker(pool: PoolSpec) -> str:
    """Return the type of worker whose job variables a pool has: ``ecs`` for ``ecs:push``."""
    return pool.type.removesuffix(":push")


def is_container(pool: PoolSpec) -> bool:
    """Tell whether runs are containers, whose files are gone when they end."""
    return pool.type != "process"


@lru_cache(maxsize=256)
def build_job_variables(placement: Placement) -> Mapping[str, Any]:
    """Build the job variables of a placement; those that are given by name win over those that follow from its fields."""
    pool = placement.pool
    if pool is None:
        return dict(placement.job_variables)
    worker = find_worker(pool)
    names = POOL_FIELDS[worker]
    variables: dict[str, Any] = {names[field]: value for field, value in placement.platform.items() if field in names}
    variables |= _SIZES[worker](placement)
    variables["env"] = _build_environment(placement)
    return merge_values(variables, placement.job_variables)


def _build_environment(placement: Placement) -> dict[str, str]:
    heartbeat = {} if placement.heartbeat is None else {HEARTBEAT_VARIABLE: str(placement.heartbeat)}
    return {TIMEOUT_VARIABLE: f"{placement.timeout.total_seconds():.15g}", **heartbeat}


def _size_cloud_run(placement: Placement) -> dict[str, Any]:
    return {
        "image": placement.image,
        "cpu": f"{round(placement.cpu * 1000)}m",
        "memory": placement.memory,
        "timeout": int(placement.timeout.total_seconds()) + _GRACE_SECONDS,
    }


def _size_ecs(placement: Placement) -> dict[str, Any]:
    return {"image": placement.image, "cpu": round(placement.cpu * 1024), "memory": parse_memory(placement.memory)}


def _size_process(_: Placement) -> dict[str, Any]:
    return {}


_SIZES: Final = {"process": _size_process, "cloud-run-v2": _size_cloud_run, "ecs": _size_ecs}


def build_pull(pool: PoolSpec | None) -> tuple[Mapping[str, Any], ...] | None:
    """Build the steps by which a run finds the project; None: the folder that is deployed from."""
    if pool is None:
        return None
    if pool.git_clone is not None:
        step = pool.git_clone.model_dump(include={"repository", "branch"}, exclude_none=True)
        if pool.git_clone.access_token_block:
            step["access_token"] = f"{{{{ prefect.blocks.secret.{pool.git_clone.access_token_block} }}}}"
        clone = {f"{_STEPS}.git_clone": step}
        # The image's own folder belongs to root, and a run does not.
        return ({f"{_STEPS}.set_working_directory": {"directory": "/tmp"}}, clone) if is_container(pool) else (clone,)  # noqa: S108 - one container, one run
    if pool.directory is not None:
        return ({f"{_STEPS}.set_working_directory": {"directory": pool.directory}},)
    return () if is_container(pool) else None
