"""What a project deploys to: the settings of ``deploy.yaml``, and of the key ``deploy`` of a batch."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from anomflow.setting_types import Names, PositiveDuration, format_duration

DeployJob = Literal["ingest", "train", "score", "change", "alert", "plot", "pipeline", "backtest"]
DEPLOY_JOBS: Final[tuple[DeployJob, ...]] = get_args(DeployJob)
PoolType = Literal["process", "cloud-run-v2:push", "ecs:push", "cloud-run-v2", "ecs"]

# Seconds after which a run fails; deployments set it in a run's environment, and the flows read it when they are loaded.
TIMEOUT_VARIABLE: Final = "ANOMFLOW_RUN_TIMEOUT"
# Seconds between two signs of life of a run, a setting of Prefect; without it 180, and never fewer than 30.
HEARTBEAT_VARIABLE: Final = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
_HEARTBEAT: Final = timedelta(seconds=180)
# One that comes late, or is lost, takes no run for dead.
HEARTBEATS_MISSED: Final = 3
LEAST_HEARTBEAT_SECONDS: Final = 30
_LEAST_HEARTBEAT_TIMEOUT: Final = timedelta(seconds=LEAST_HEARTBEAT_SECONDS) * HEARTBEATS_MISSED
# A Prefect server refuses to wait less for what does not come.
_LEAST_WAIT: Final = timedelta(seconds=10)

_MEMORY: Final = re.compile(r"(\d+)\s*(Mi|Gi)")
# What Prefect takes for the name of a deployment, a pool or a queue, and what needs no quotes anywhere.
_NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_BLOCK_NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9-]*$"


def parse_memory(text: str) -> int:
    """Return the MiB of ``512Mi`` or ``4Gi``; raise ValueError for anything else."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ValueError(f"{text!r} is not an amount of memory; write for example 512Mi or 4Gi")
    return int(match[1]) * (1024 if match[2] == "Gi" else 1)


def _check_memory(text: str) -> str:
    parse_memory(text)
    return text.strip().replace(" ", "")


def _check_wait(value: timedelta) -> timedelta:
    return _check_least(value, _LEAST_WAIT, "a Prefect server waits no less")


def _check_heartbeat_timeout(value: timedelta) -> timedelta:
    return _check_least(value, _LEAST_HEARTBEAT_TIMEOUT, "runs of Prefect give a sign of life each 30 seconds at most, and one may be lost")


def _check_least(value: timedelta, least: timedelta, reason: str) -> timedelta:
    if value < least:
        raise ValueError(f"{format_duration(value)} is too short: {reason}; write {format_duration(least)} or more")
    return value


Wait = Annotated[PositiveDuration, AfterValidator(_check_wait)]
HeartbeatTimeout = Annotated[PositiveDuration, AfterValidator(_check_heartbeat_timeout)]
Memory = Annotated[str, AfterValidator(_check_memory), WithJsonSchema({"type": "string", "pattern": rf"^\s*{_MEMORY.pattern}\s*$"})]
Name = Annotated[str, Field(pattern=_NAME_PATTERN, max_length=120)]


Text = Annotated[str, Field(min_length=1)]
Region = Annotated[Text | None, Field(description="Region of Cloud Run.")]
Network = Annotated[Text | None, Field(description="VPC connector of Cloud Run, or id of the VPC of ECS.")]
ServiceAccount = Annotated[Text | None, Field(description="Service account that runs have on Cloud Run.")]
Cluster = Annotated[Text | None, Field(description="Cluster of ECS.")]
TaskRole = Annotated[Text | None, Field(description="ARN of the role that runs have on ECS.")]
ExecutionRole = Annotated[Text | None, Field(description="ARN of the role that starts containers on ECS.")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model, the models inside it written out."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})
    return dict(_inline(schema, parts))


def _inline(value: Any, parts: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inline(item, parts) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inline(parts[value["$ref"].rsplit("/", 1)[-1]], parts)
    return {key: _inline(item, parts) for key, item in value.items() if not (key == "title" and isinstance(item, str))}


class RunsOn(_Part):
    """Where and with how much a job runs; what is not given here is that of the place around it."""

    work_pool: Name | None = Field(None, description="Pool of `deploy.yaml` that runs it.")
    work_queue: Name | None = Field(None, description="Queue of the pool.")
    image: str | None = Field(None, min_length=1, description="Container image; `{{ $NAME }}` is a variable of whoever deploys.")
    cpu: float | None = Field(None, gt=0, le=64, description="Processors of the container.")
    memory: Memory | None = Field(None, description="Memory of the container (`512Mi`, `4Gi`).")
    timeout: PositiveDuration | None = Field(None, description="A run that takes longer than this fails.")
    region: Region = None
    network: Network = None
    service_account: ServiceAccount = None
    cluster: Cluster = None
    task_role: TaskRole = None
    execution_role: ExecutionRole = None
    job_variables: dict[str, Any] = Field({}, description="Further job variables of the pool's type.")


class BatchDeploy(RunsOn):
    """Where and with how much the jobs of a batch run."""

    tags: Names = Field((), description="Tags of the batch's deployments, besides those that Anomflow gives.")
    jobs: dict[DeployJob, RunsOn] = Field({}, description="The same by job, which wins.")


class GitClone(_Part):
    """Where a run gets the project from."""

    repository: str = Field(min_length=1, description="URL of the repository.")
    branch: str | None = Field(None, min_length=1, description="Branch; none: the default one.")
    access_token_block: str | None = Field(
        None, pattern=_BLOCK_NAME_PATTERN, description="Name of a Prefect block of the type `secret` with an access token."
    )


class PoolSpec(_Part):
    """A work pool, and what holds for all that runs on it."""

    type: PoolType = Field(description="What runs its flows: processes of a worker, or containers of a cloud (`:push`: without a worker).")
    work_queue: Name = Field("default", description="Queue of the pool.")
    image: str | None = Field(None, min_length=1, description="Container image; `{{ $NAME }}` is a variable of whoever deploys.")
    directory: str | None = Field(
        None,
        min_length=1,
        description="Folder of the project where runs run; none: for `process` the folder that is deployed from, else that of the image.",
    )
    git_clone: GitClone | None = Field(None, description="Repository that each run clones, instead of a folder.")
    region: Region = None
    network: Network = None
    service_account: ServiceAccount = None
    cluster: Cluster = None
    task_role: TaskRole = None
    execution_role: ExecutionRole = None
    job_variables: dict[str, Any] = Field({}, description="Further job variables of the pool's type.")


class Watch(_Part):
    """What the Prefect server itself does about runs that end badly, or do not end; `anomflow apply` makes automations of it."""

    failure_methods: Names = Field(
        (),
        description="Blocks by which the server tells of failed, crashed and stuck runs: Prefect's own for notices"
        " (`slack-webhook/ops`, `custom-webhook/ops`), or `slack/NAME` where that has a webhook.",
    )
    late_after: Wait | None = Field(
        timedelta(minutes=15), description="Tell of a run that is late by more (at least `10s`); `null`: never."
    )
    pending_after: Wait | None = Field(
        timedelta(minutes=15), description="Tell of a run whose infrastructure takes longer to start (at least `10s`); `null`: never."
    )
    heartbeat_timeout: HeartbeatTimeout | None = Field(
        timedelta(minutes=9),
        description="A run that shows no sign of life for longer (at least `90s`) has crashed; `null`: nobody looks."
        " Where it is shorter than `9min`, runs are told to show them more often.",
    )

    @property
    def heartbeat_seconds(self) -> int | None:
        """Return how often runs have to show a sign of life; None: as often as they do by themselves."""
        if self.heartbeat_timeout is None or self.heartbeat_timeout >= _HEARTBEAT * HEARTBEATS_MISSED:
            return None
        return int(self.heartbeat_timeout / HEARTBEATS_MISSED / timedelta(seconds=1))


class DeployFile(_Part):
    """What `deploy.yaml` says."""

    project: Name = Field("anomflow", description="Name of the project, a tag of all its deployments; other projects are left alone.")
    layout: Literal["batch_job", "job", "pipeline"] = Field(
        "batch_job",
        description="`batch_job`: a deployment for each batch and job; `job`: one for each job, with a schedule for each batch;"
        " `pipeline`: one for each batch, which runs the whole chain, and one for its charts.",
    )
    work_pool: Name = Field("local", description="Pool of all that names none.")
    examples: bool = Field(True, description="Deploy batches under `metrics/examples/` that are not switched off.")
    manual_jobs: tuple[Literal["backtest", "pipeline"], ...] = Field(
        ("backtest",), description="Jobs without a schedule that are deployed too, to be started by hand."
    )
    links: str | None = Field(
        None, pattern=r"^https?://\S+$", description="Address of the project's files, which descriptions link (`https://.../blob/main`)."
    )
    tags: Names = Field((), description="Tags of all deployments, besides those that Anomflow gives.")
    watch: Watch = Field(Watch(), description="What the server does about runs that fail or get stuck.")
    requests_per_minute: int = Field(
        500, ge=10, le=100_000, description="Requests to the Prefect API in any minute that `anomflow apply` makes at most."
    )
    pools: dict[Name, PoolSpec] = Field({"local": PoolSpec(type="process")}, description="Work pools by name.")
    jobs: dict[DeployJob, RunsOn] = Field({}, description="Where and with how much each job runs.")
