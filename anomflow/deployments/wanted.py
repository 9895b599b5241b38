"""A deployment as the server shall hold it: the fields of its API, variables filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from anomflow.deployments.templates import fill_text, find_variable
from anomflow.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.deployments.deployment import Deployment, Schedule

# The fields that are compared, in the order in which differences are told.
FIELDS: Final = (
    "entrypoint",
    "description",
    "tags",
    "parameters",
    "schedules",
    "work_pool",
    "work_queue",
    "job_variables",
    "concurrency",
    "pull_steps",
    "parameter_schema",
)
# Their values may be filled from the environment of whoever deploys: differences name the path, never the value.
HIDDEN: Final = frozenset({"job_variables", "pull_steps", "parameter_schema"})
_FOLDER_STEP: Final = "prefect.deployments.steps.set_working_directory"


@dataclass(frozen=True)
class Surroundings:
    """What deployments are filled with: the environment of whoever deploys, the folder, the parameter schema of each job's flow as JSON."""

    environ: Mapping[str, str] = field(repr=False)
    folder: str
    schemas: Mapping[str, Mapping[str, Any]] = field(repr=False)


@dataclass(frozen=True)
class Wanted:
    """The fields that a deployment shall have on the server; ``fields`` may hold secrets and stays out of texts."""

    key: str
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def off(self) -> tuple[str, ...]:
        """Return the slugs of the schedules that the files switch off."""
        return tuple(slug for slug, schedule in self.fields["schedules"].items() if not schedule["active"])


def build_wanted(deployment: Deployment, around: Surroundings) -> Wanted:
    """Build the fields of a deployment; raises SettingsError for variables of the environment that are not set."""
    pull = [{_FOLDER_STEP: {"directory": around.folder}}] if deployment.pull is None else list(deployment.pull)
    values = {
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "tags": list(deployment.tags),
        "parameters": dict(deployment.parameters),
        "schedules": {schedule.slug: _describe_schedule(schedule) for schedule in deployment.schedules},
        "work_pool": deployment.work_pool.name,
        "work_queue": deployment.work_pool.queue,
        "job_variables": fill(deployment.work_pool.job_variables, around.environ),
        "concurrency": {"limit": deployment.limit, "collision_strategy": "CANCEL_NEW"} if deployment.limit else None,
        "pull_steps": fill(pull, around.environ),
    }
    # Schemas are JSON already, large, and one for all deployments of a job.
    return Wanted(deployment.key, json.loads(json.dumps(values, default=str)) | {"parameter_schema": around.schemas[deployment.job]})


def _describe_schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "active": schedule.active,
        "parameters": dict(schedule.parameters),
    }


def fill(value: Any, environ: Mapping[str, str]) -> Any:
    """Fill ``{{ $NAME }}`` from the environment wherever it stands in a value; raises SettingsError for names that are not set.

    >>> fill({"image": "acme:{{ $TAG }}"}, {"TAG": "7"})
    {'image': 'acme:7'}
    """
    missing = sorted({name for text in _find_texts(value) for name in find_variable(text)[0] if name not in environ})
    if missing:
        text = "is not set in the environment, and deploy.yaml or a batch names it ({{ $NAME }}); set it"
        raise SettingsError([Problem("environment", None, f"{name} {text}", name) for name in missing])
    return _fill(value, environ)


def _fill(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill_text(value, environ)
    if isinstance(value, Mapping):
        return {name: _fill(inner, environ) for name, inner in value.items()}
    return [_fill(inner, environ) for inner in value] if isinstance(value, list | tuple) else value


def fingerprint(value: Any) -> str:
    """Return a short mark of a JSON value, by which a later change of it is seen."""
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def scrub(text: str, wanted: Wanted) -> str:
    """Return a text without the values of hidden fields that it may quote: job variables and pull steps.

    >>> scrub("'s3cret' is wrong", Wanted("score/a", {"job_variables": {"env": {"KEY": "s3cret"}}, "pull_steps": []}))
    "'***' is wrong"
    """
    values = {value for name in ("job_variables", "pull_steps") for value in _find_texts(wanted.fields[name]) if value}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def _find_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _find_texts(inner)
