"""What is wrong with where a job runs: its pool, image and size, its job variables, and stores that a container forgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from anomflow.deploy_spec import HEARTBEAT_VARIABLE, HEARTBEATS_MISSED, LEAST_HEARTBEAT_SECONDS
from anomflow.deployments.job_templates import find_variable_errors
from anomflow.deployments.placement import Place, Placement, resolve
from anomflow.deployments.plan_checks import describe_unknown_pool
from anomflow.deployments.sizes import find_size_error
from anomflow.deployments.templates import find_variable
from anomflow.deployments.variables import POOL_FIELDS, build_job_variables, find_worker, is_container
from anomflow.errors import Problem
from anomflow.masking import is_secret_name
from anomflow.setting_types import format_duration

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.deploy_spec import PoolSpec, Watch

_LOCAL_DATABASES: Final = ("duckdb", "sqlite")
_LOCAL_STORES: Final = ("local", "local-file-system")
_LOCAL_CHANNELS: Final = ("file",)
_MUTE_CHANNELS: Final = ("console", "file")
_SIZES: Final = ("image", "cpu", "memory")
_ADVICE: Final = "keep it in a Prefect block or in the environment of the worker"
_PLATFORM_VARIABLES: Final = {name: field for fields in POOL_FIELDS.values() for field, name in fields.items()}


def check_place(place: Place) -> Iterator[Problem]:
    """Report what is wrong with where a job (of a batch) runs."""
    placement = resolve(place)
    if placement.pool is None:
        if place.batch is not None:
            yield place.problem("work_pool", describe_unknown_pool(placement.pool_name, place.plan))
        return
    yield from _check_effect(place, placement, placement.pool)
    if is_container(placement.pool):
        yield from _check_container(place, placement, placement.pool)
    yield from _check_variables(place, placement, placement.pool)
    yield from _check_secrets(place, placement)


def _check_effect(place: Place, placement: Placement, pool: PoolSpec) -> Iterator[Problem]:
    sizes = _SIZES if is_container(pool) else ()
    reason = "" if is_container(pool) else ": its runs are processes of the worker"
    for field in sorted(placement.given - {*POOL_FIELDS[find_worker(pool)], *sizes}):
        message = f"{field} has no effect on {placement.pool_name}, whose type is {pool.type}{reason}"
        yield place.problem(field, message, warning=True)


def _check_container(place: Place, placement: Placement, pool: PoolSpec) -> Iterator[Problem]:
    image = placement.job_variables.get("image", placement.image)
    if image is None and placement.job_variables.get("task_definition_arn") is None:
        yield place.problem(
            "image", f"no image is set for {placement.pool_name}; write pools.{placement.pool_name}.image: REGISTRY/NAME:TAG"
        )
    overridden = {"cpu", "memory"} & placement.job_variables.keys()
    launch_type = str(placement.job_variables.get("launch_type", "FARGATE"))
    wrong = None if overridden else find_size_error(find_worker(pool), placement.cpu, placement.memory, launch_type)
    if wrong is not None:
        field = "memory" if "memory" in placement.given else "cpu"
        yield place.problem(field, f"{wrong} ({place.job})")


def _check_variables(place: Place, placement: Placement, pool: PoolSpec) -> Iterator[Problem]:
    variables = {name: value for name, value in build_job_variables(placement).items() if value is not None}
    if message := _find_heartbeat_error(place.plan.spec.watch, variables.get("env")):
        yield place.problem("job_variables", message)
    for name, message in find_variable_errors(find_worker(pool), variables):
        field = "job_variables" if name in placement.job_variables else _PLATFORM_VARIABLES.get(name, name)
        yield place.problem(field, message)


def _find_heartbeat_error(watch: Watch, environment: object) -> str | None:
    """Say why runs that set their own pace of signs of life would be taken for dead, or would not start; None where they are fine."""
    text = environment.get(HEARTBEAT_VARIABLE) if isinstance(environment, Mapping) else None
    if not text or not isinstance(text, str) or find_variable(text)[0]:
        return None
    if not text.isdecimal() or int(text) < LEAST_HEARTBEAT_SECONDS:
        return f"{HEARTBEAT_VARIABLE} is {text!r}, with which no run of Prefect starts; write {LEAST_HEARTBEAT_SECONDS} or more (seconds)"
    needed = timedelta(seconds=int(text)) * HEARTBEATS_MISSED
    if watch.heartbeat_timeout is None or needed <= watch.heartbeat_timeout:
        return None
    return (
        f"{HEARTBEAT_VARIABLE} is {text!r} seconds, and the server takes a run for dead that shows no sign of life for"
        f" {format_duration(watch.heartbeat_timeout)}; leave it out, or set watch.heartbeat_timeout: {format_duration(needed)} or more"
    )


def _check_secrets(place: Place, placement: Placement) -> Iterator[Problem]:
    """Warn of a secret that is written out: prefect.yaml is committed, and the server shows job variables."""
    env = placement.job_variables.get("env")
    for name, value in env.items() if isinstance(env, Mapping) else ():
        if is_secret_name(str(name)) and isinstance(value, str) and value and not find_variable(value)[0]:
            message = f"job variable env.{name} looks like a secret, which prefect.yaml and the server would show; {_ADVICE}"
            yield place.problem("job_variables", message, warning=True)


def check_stores(batch: Batch, placement: Placement) -> Iterator[Problem]:
    """Report stores of this machine, which a container has none of or loses when it ends."""
    pool = placement.pool
    if pool is None or not is_container(pool) or batch.spec.common.disable_batch:
        return
    words = f"which is lost when a container of {placement.pool_name} ({pool.type}) ends"
    for key, ref in (("db", batch.spec.common.db), ("ledger_db", batch.spec.common.ledger_db)):
        if ref is not None and _kind(ref) in _LOCAL_DATABASES:
            yield _of_batch(batch, key, f"{key} is {ref!r}, a file, {words}; name a warehouse that is reached over the network")
    if _kind(batch.spec.models.model_path) in _LOCAL_STORES:
        store = batch.spec.models.model_path
        yield _of_batch(batch, "model_path", f"model_path is {store!r}, a folder, {words}; name a bucket (gs://BUCKET/FOLDER) or its block")
    methods = batch.spec.alert.alert_methods
    if batch.spec.is_disabled("alert"):
        return
    if any(_kind(method) in _LOCAL_CHANNELS for method in methods):
        yield _of_batch(batch, "alert_methods", f"alert_methods has 'file', {words}; name a channel such as email or slack")
    elif methods and all(_kind(method) in _MUTE_CHANNELS for method in methods):
        message = (
            f"alert_methods has 'console' only, which nobody reads in a container of {placement.pool_name}; name a channel such as email"
        )
        yield _of_batch(batch, "alert_methods", message)


def _kind(name: str) -> str:
    return name.split("/", 1)[0].removesuffix(":").split(":", 1)[0]


def _of_batch(batch: Batch, key: str, message: str) -> Problem:
    """Point at a setting of a batch; at the batch's own file where nobody set it."""
    origin = batch.origins[key]
    if origin.kind == "default":
        return Problem(batch.path.as_posix(), 1, message, key)
    return Problem(origin.where, origin.line, message, key)
