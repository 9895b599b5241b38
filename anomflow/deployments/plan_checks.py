"""What is wrong with ``deploy.yaml`` itself, whatever the batches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from anomflow.batches.suggestions import suggest
from anomflow.deployments.templates import find_template, find_variable
from anomflow.deployments.variables import PLATFORM_FIELDS, POOL_FIELDS, find_worker, is_container

if TYPE_CHECKING:
    from anomflow.batches.layers import KeyPath
    from anomflow.deploy_spec import PoolSpec
    from anomflow.deployments.plan import DeployPlan
    from anomflow.errors import Problem

# Marks by which triggers, and whoever removes deployments, know ours.
RESERVED_TAGS: Final = ("anomflow", "project:", "batch:", "job:")
# Where a value may hold a variable of whoever deploys, as Prefect fills it in.
OPEN_KEYS: Final = frozenset({"image", "directory", "job_variables", "git_clone", "region", "network", "service_account"}) | {
    "cluster",
    "task_role",
    "execution_role",
}

# Whoever is named in an address over HTTP is so with a password, or is the token itself.
_LOGIN: Final = re.compile(r"https?://[^/@\s]+@", re.IGNORECASE)


def check_plan(plan: DeployPlan) -> Iterator[Problem]:
    """Report pools that there are not, fields without effect, templates that Prefect would empty, and tags that are ours."""
    yield from _check_pool_names(plan)
    for name, pool in plan.spec.pools.items():
        yield from _check_pool(name, pool, plan)
    for path, message in find_templates(plan.layer.values, ()):
        yield plan.layer.problem(path, message)
    for index, tag in enumerate(plan.spec.tags):
        if is_reserved(tag):
            yield plan.layer.problem(("tags", index), f"tags has {tag!r}, of a kind that Anomflow gives itself")


def is_reserved(tag: str) -> bool:
    """Tell whether a tag could be taken for one of ours."""
    return tag == RESERVED_TAGS[0] or tag.startswith(RESERVED_TAGS[1:])


def _check_pool_names(plan: DeployPlan) -> Iterator[Problem]:
    named = {("work_pool",): plan.spec.work_pool}
    named |= {("jobs", job, "work_pool"): part.work_pool for job, part in plan.spec.jobs.items() if part.work_pool is not None}  # type: ignore[misc]
    for path, name in named.items():
        if name not in plan.spec.pools:
            yield plan.layer.problem(path if path in plan.layer.origins else ("pools",), describe_unknown_pool(name, plan))


def describe_unknown_pool(name: str, plan: DeployPlan) -> str:
    """Say that there is no such pool, and which there are."""
    known = list(plan.spec.pools)
    return f"work_pool is {name!r}, which is none of the pools of deploy.yaml: {', '.join(known)}.{suggest(name, known)}"


def _check_pool(name: str, pool: PoolSpec, plan: DeployPlan) -> Iterator[Problem]:
    fields = POOL_FIELDS[find_worker(pool)]
    for field in (*PLATFORM_FIELDS, "image"):
        if getattr(pool, field) is not None and field not in fields and not (field == "image" and is_container(pool)):
            allowed = ", ".join([*fields, *(["image"] if is_container(pool) else [])]) or "none of these"
            message = f"pools.{name}.{field} means nothing to a pool of the type {pool.type}; it takes {allowed}"
            yield plan.layer.problem(("pools", name, field), message)
    if pool.directory is not None and pool.git_clone is not None:
        yield plan.layer.problem(("pools", name, "git_clone"), f"pools.{name} has a directory and a git_clone; a run uses one of them")
    yield from _check_repository(name, pool, plan)


def _check_repository(name: str, pool: PoolSpec, plan: DeployPlan) -> Iterator[Problem]:
    """Report an address with a login: prefect.yaml is committed, and the server shows it."""
    if pool.git_clone is not None and _LOGIN.match(find_variable(pool.git_clone.repository)[1]):
        message = (
            f"pools.{name}.git_clone.repository holds a login, which prefect.yaml and the server would show;"
            " leave it out, and name a `secret` block with a token in access_token_block"
        )
        yield plan.layer.problem(("pools", name, "git_clone", "repository"), message)


def find_templates(value: Any, path: KeyPath, *, is_open: bool = False) -> Iterator[tuple[KeyPath, str]]:
    """Find texts that Prefect would fill in or empty: all templates, but variables where they are allowed."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from find_templates(str(key), (*path, key))
            yield from find_templates(inner, (*path, key), is_open=is_open or key in OPEN_KEYS)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from find_templates(inner, (*path, index), is_open=is_open)
    elif isinstance(value, str) and (found := find_template(value if not is_open else find_variable(value)[1])):
        allowed = "write a variable of whoever deploys as {{ $NAME }}" if is_open else "write the text itself"
        yield path, f"{'.'.join(map(str, path))} holds {found!r}, which Prefect would fill in or drop without a word; {allowed}"
