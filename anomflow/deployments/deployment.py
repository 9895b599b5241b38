"""A deployment as Prefect knows it: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from anomflow.deploy_spec import DeployJob

# One schedule under one slug that never changes is replaced on each deploy; without one the old schedule would go on.
SLUG: Final = "default"


@dataclass(frozen=True)
class Schedule:
    """When a deployment starts by itself: a cron of five fields in a time zone, active or paused, under a slug that stays."""

    cron: str
    timezone: str
    active: bool
    slug: str = SLUG
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class After:
    """The deployment after whose completed runs another one starts, known by the tags of its runs; ``active`` or paused."""

    job: DeployJob
    name: str
    tags: tuple[str, ...]
    active: bool

    @property
    def key(self) -> str:
        """Return the name of that deployment, as Prefect knows it."""
        return f"{self.job}/{self.name}"


@dataclass(frozen=True)
class WorkPool:
    """The pool and queue that run a deployment, and the job variables that it has there."""

    name: str
    queue: str
    job_variables: Mapping[str, Any]


@dataclass(frozen=True)
class Deployment:
    """A deployment of a job's flow; ``key`` (``score/sales``) is unique.

    ``pull`` has the steps that fetch the project: none for an image that holds it, None for the folder that is deployed from.
    ``limit`` is the number of runs at once beyond which new ones are cancelled. ``starter`` is the deployment each of whose
    runs starts ``runs_per_start`` of this one, where there is one.
    """

    job: DeployJob
    name: str
    description: str
    tags: tuple[str, ...]
    work_pool: WorkPool
    parameters: Mapping[str, str] = field(default_factory=dict)
    schedules: tuple[Schedule, ...] = ()
    after: After | None = None
    limit: int | None = 1
    pull: tuple[Mapping[str, Any], ...] | None = None
    starter: str | None = None
    runs_per_start: int = 1

    @property
    def key(self) -> str:
        """Return the name by which Prefect knows it: flow and deployment."""
        return f"{self.job}/{self.name}"

    @property
    def entrypoint(self) -> str:
        """Return where its flow is, from the root of the project."""
        return f"flows/{self.job}.py:{self.job}"
