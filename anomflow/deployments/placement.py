"""Where a batch's job runs, with how much, and for how long: the layers of settings from our defaults to the batch's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from anomflow.batches.layers import KeyPath, Layer, merge_values
from anomflow.deploy_spec import BatchDeploy, DeployJob, PoolSpec, RunsOn
from anomflow.deployments.plan import DeployPlan
from anomflow.deployments.variables import PLATFORM_FIELDS

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.errors import Problem

_LIGHT: Final = RunsOn(cpu=1, memory="2Gi", timeout=timedelta(minutes=15))
_HEAVY: Final = RunsOn(cpu=2, memory="4Gi", timeout=timedelta(hours=1))
# Both are sizes that Cloud Run and Fargate have.
DEFAULTS: Final[Mapping[DeployJob, RunsOn]] = {
    "ingest": _LIGHT,
    "train": _HEAVY,
    "score": RunsOn(cpu=1, memory="2Gi", timeout=timedelta(minutes=30)),
    "change": _LIGHT,
    "alert": _LIGHT,
    "plot": _LIGHT,
    "pipeline": _HEAVY,
    "backtest": _HEAVY,
}


_PLACED: Final = ("image", "cpu", "memory", *PLATFORM_FIELDS)


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a job runs and with how much; ``pool`` is None where ``deploy.yaml`` has none of that name.

    ``platform`` has the fields of the platform (region, roles) that are set, ``given`` tells which fields a job or a batch has of its
    own, ``heartbeat`` each how many seconds a run shows a sign of life (None: as usual).
    """

    pool_name: str
    pool: PoolSpec | None
    queue: str
    image: str | None
    cpu: float
    memory: str
    timeout: timedelta
    job_variables: Mapping[str, Any]
    platform: Mapping[str, str]
    given: frozenset[str]
    heartbeat: int | None = None


@dataclass(frozen=True)
class Place:
    """A job of a batch (None: of all batches) in a plan, as what is told of it is placed in files."""

    plan: DeployPlan
    job: DeployJob
    batch: Batch | None = None

    def problem(self, field: str, message: str, *, warning: bool = False) -> Problem:
        """Build a problem that points at the line which sets a field for this job, else at its pool's."""
        for layer, path in self._paths(field):
            if path in layer.origins:
                return layer.problem(path, message, warning=warning)
        pool = resolve(self).pool_name
        return self.plan.layer.problem(("pools", pool), message, warning=warning)

    def _paths(self, field: str) -> Iterator[tuple[Layer, KeyPath]]:
        if self.batch is not None:
            own = Layer(origins=self.batch.paths)
            yield own, ("deploy", "jobs", self.job, field)
            yield own, ("deploy", field)
        yield self.plan.layer, ("jobs", self.job, field)
        yield self.plan.layer, ("pools", resolve(self).pool_name, field)
        if field == "work_pool":
            yield self.plan.layer, ("work_pool",)


def resolve(place: Place) -> Placement:
    """Resolve where a job runs: the batch's own word for the job, for all its jobs, that of ``deploy.yaml``, our default."""
    if place.batch is None or not has_own(place.batch):
        return _resolve_shared(place.plan, place.job)
    return _resolve(place.plan, place.job, place.batch.spec.deploy.deploy)


def has_own(batch: Batch) -> bool:
    """Tell whether a batch says itself where anything of it runs."""
    return bool(batch.spec.deploy.deploy.model_fields_set - {"tags"})


@lru_cache(maxsize=64)
def _resolve_shared(plan: DeployPlan, job: DeployJob) -> Placement:
    """Resolve a job of all batches that say nothing of their own: one value for thousands of them."""
    return _resolve(plan, job, BatchDeploy())


def _resolve(plan: DeployPlan, job: DeployJob, deploy: BatchDeploy) -> Placement:
    spec = plan.spec
    layers = [DEFAULTS[job], spec.jobs.get(job), deploy, deploy.jobs.get(job)]
    parts = [part for part in layers if part is not None]
    pool_name = _last(parts, "work_pool") or spec.work_pool
    pool = spec.pools.get(pool_name)
    variables: dict[Any, Any] = dict(pool.job_variables) if pool is not None else {}
    for part in parts:
        variables = merge_values(variables, part.job_variables)
    return Placement(
        pool_name=pool_name,
        pool=pool,
        queue=_last(parts, "work_queue") or (pool.work_queue if pool is not None else "default"),
        image=_last(parts, "image") or (pool.image if pool is not None else None),
        cpu=_last(parts, "cpu"),
        memory=_last(parts, "memory"),
        timeout=_last(parts, "timeout"),
        job_variables=variables,
        platform={field: value for field in PLATFORM_FIELDS if (value := _last(parts, field) or getattr(pool, field, None)) is not None},
        given=frozenset(name for part in parts[1:] for name in _PLACED if getattr(part, name) is not None),
        heartbeat=spec.watch.heartbeat_seconds,
    )


def _last(parts: list[RunsOn], name: str) -> Any:
    """Return the value of the innermost part that has one."""
    return next((value for part in reversed(parts) if (value := getattr(part, name)) is not None), None)
