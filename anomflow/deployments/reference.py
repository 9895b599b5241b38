"""What is generated from the spec of ``deploy.yaml``: its JSON schema, and the page about its settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from anomflow.deploy_spec import BatchDeploy, DeployFile, GitClone, PoolSpec, RunsOn, Watch, inline_schema
from anomflow.deployments.placement import DEFAULTS
from anomflow.setting_types import format_duration

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_HEAD: Final = """\
# deploy.yaml

What the project's batches are deployed to; [docs/deploy/overview.md](../deploy/overview.md) tells what is made of it. Without
the file the defaults hold. A key that does not exist, or a value that is not allowed, is an error with its line.
"""
_PARTS: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("The file", DeployFile),
    ("Its `watch`", Watch),
    ("A pool (`pools.NAME`)", PoolSpec),
    ("Its `git_clone`", GitClone),
    ("A job (`jobs.JOB`, here and in a batch's `deploy`)", RunsOn),
    ("A batch (its key `deploy`)", BatchDeploy),
)


def build_deploy_schema() -> str:
    """Build the JSON schema of ``deploy.yaml``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **inline_schema(DeployFile), "title": "Anomflow deploy.yaml"}
    return json.dumps(schema, indent=2, ensure_ascii=False, default=str) + "\n"


def build_deploy_page() -> str:
    """Build the page about ``deploy.yaml``."""
    return "\n".join([_HEAD, *(line for name, model in _PARTS for line in _describe(name, model)), *_describe_defaults()]) + "\n"


def _describe(name: str, model: type[BaseModel]) -> Iterator[str]:
    inherited = RunsOn.model_fields.keys() if model is BatchDeploy else ()
    yield f"## {name}\n"
    yield f"{model.__doc__} {'Besides all that a job has:' if inherited else ''}".rstrip() + "\n"
    yield "| key | default | meaning |\n|---|---|---|"
    yield from (
        f"| `{key}` | {_default(field)} | {field.description} |" for key, field in model.model_fields.items() if key not in inherited
    )
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, timedelta):
        return f"`{format_duration(field.default)}`"
    return "none" if field.default is None else f"`{json.dumps(_plain(field.default), ensure_ascii=False)}`"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


def _describe_defaults() -> Iterator[str]:
    yield "## Sizes and time limits\n"
    yield "| job | cpu | memory | timeout |\n|---|---|---|---|"
    yield from (
        f"| {job} | {part.cpu:g} | {part.memory} | {format_duration(part.timeout)} |" for job, part in DEFAULTS.items() if part.timeout
    )
