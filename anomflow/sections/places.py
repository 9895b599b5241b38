"""The settings that say where a batch's models are kept and where its jobs run."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from anomflow.deploy_spec import BatchDeploy, inline_schema
from anomflow.sections.base import Section
from anomflow.setting_types import STORE_PATTERN, PositiveDuration


class ModelSpec(Section):
    """Where fitted models are kept."""

    model_path: str = Field(
        "local",
        description="Model store: `local` (under ANOMFLOW_HOME), `local://PATH`, a bucket (`s3://BUCKET/FOLDER`, `gs://BUCKET/FOLDER`, "
        "`az://CONTAINER/FOLDER`), or a filesystem block, `kind/block-name`.",
        json_schema_extra={"pattern": f"^({STORE_PATTERN})$"},
    )
    model_keep_n: int = Field(5, ge=1, description="Versions of the models that are kept.")
    shards: int = Field(
        1, ge=1, le=256, description="Parts that the metrics of the batch are divided into, each one object in the model store."
    )
    slice_rows: int = Field(
        250_000, ge=1, description="Rows of metrics that a run holds in memory at a time, about a kilobyte each; a metric is never divided."
    )
    processes: int = Field(
        1,
        ge=0,
        le=256,
        description="Processes that fit and score the metrics of a run; 0: as many as there are processors; 1: none beside it.",
    )
    scale_out: Literal["none", "deployments", "dask"] = Field(
        "none",
        description="Where the shards are trained and scored: `none`: in the run itself; `deployments`: each in a run of the deployment"
        " `<batch>-shard`; `dask`: on the workers of a Dask cluster.",
    )
    shard_timeout: PositiveDuration = Field(
        timedelta(hours=1),
        description="How long a run waits for the runs of its shards, at most nine tenths of its own time-out; those that are not done then"
        " are cancelled.",
    )
    dask_address: str | None = Field(
        None, min_length=1, description="Scheduler of the Dask cluster (`tcp://host:8786`); none: a cluster of `processes` on this machine."
    )


class DeploySpec(Section):
    """Where the jobs run when they are deployed."""

    deploy: Annotated[BatchDeploy, WithJsonSchema(inline_schema(BatchDeploy))] = Field(
        BatchDeploy(),
        description="Where and with how much the batch's jobs run: `work_pool`, `work_queue`, `image`, `cpu`, `memory`, `timeout`,"
        " `job_variables`, `tags`, and `jobs` with the same by job; the rest is that of `deploy.yaml`.",
    )
