"""The settings of the jobs that read, learn, judge and show rows: how new ones come in, which are used, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from anomflow.sections.base import MAX_DAYS, STATUS_WORDS, TRIGGER_WORDS, Section
from anomflow.setting_types import BLOCK_PATTERN, Cron, Names, PositiveDuration, Status, Trigger


class IngestSpec(Section):
    """How new rows come in."""

    ingest_sql: str | None = Field(
        None, description="Query in the dialect of its database that returns metric_timestamp, metric_name, metric_value."
    )
    ingest_fn: str | None = Field(None, description="Python source (or a lone include of a file) that defines `ingest()`.")
    ingest_fn_args: dict[str, Any] = Field({}, description="Arguments of `ingest()`, by name.")
    ingest_db: str | None = Field(
        None,
        description="Database that `ingest_sql` runs on, where it is not `db`.",
        json_schema_extra={"pattern": f"^{BLOCK_PATTERN}$"},
    )
    ingest_timeout: PositiveDuration = Field(timedelta(minutes=5), description="Time limit of the ingest function.")
    ingest_cron_schedule: Cron = Field("*/10 * * * *", description="When to ingest.")
    ingest_default_schedule_status: Status = Field("RUNNING", description=STATUS_WORDS)
    ingest_trigger: Trigger = Field("cron", description=TRIGGER_WORDS)
    ingest_metric_rounding: int = Field(4, ge=-12, le=12, description="Decimals that values are rounded to when they are ingested.")
    disable_ingest: bool = Field(False, description="Do not ingest: others fill the table.")
    delete_after_n_days: int = Field(365, ge=1, le=MAX_DAYS, description="Ingest drops rows older than this many days.")


class TrainSpec(Section):
    """How the detectors learn."""

    train_cron_schedule: Cron = Field("0 * * * *", description="When to train.")
    train_default_schedule_status: Status = Field("RUNNING", description=STATUS_WORDS)
    train_trigger: Trigger = Field("cron", description=TRIGGER_WORDS)
    train_sql: str | None = Field(None, description="Query (DuckDB dialect, translated) for the training rows instead of the default one.")
    train_max_n: int = Field(
        10_000,
        ge=20,
        le=1_000_000,
        description="Newest rows of a metric that a rebuilt model starts from; it moves on when there are twice as many.",
    )
    train_min_n: int = Field(20, ge=2, le=1_000_000, description="Rows that a metric needs before it is scored.")
    train_metric_timestamp_max_days_ago: int = Field(
        365, ge=1, le=MAX_DAYS, description="Rows older than this many days are not learned from."
    )
    train_include_metrics: Names = Field((), description="Metrics to learn; none given means all.")
    train_exclude_metrics: Names = Field((), description="Metrics not to learn.")
    disable_train: bool = Field(False, description="Do not train.")


class ScoreSpec(Section):
    """Which rows are judged."""

    score_cron_schedule: Cron = Field("*/10 * * * *", description="When to score.")
    score_default_schedule_status: Status = Field("RUNNING", description=STATUS_WORDS)
    score_trigger: Trigger = Field("cron", description=TRIGGER_WORDS)
    score_sql: str | None = Field(None, description="Query (DuckDB dialect, translated) for the rows to score instead of the default one.")
    score_max_n: int = Field(1000, ge=1, le=1_000_000, description="Newest rows of a metric that its first scoring judges.")
    score_metric_timestamp_max_days_ago: int = Field(
        14, ge=1, le=MAX_DAYS, description="A row is judged when it arrives at most this many days after its timestamp."
    )
    score_metric_rounding: int = Field(4, ge=0, le=12, description="Decimals of the stored anomaly score.")
    score_include_metrics: Names = Field((), description="Metrics to score; none given means all.")
    score_exclude_metrics: Names = Field((), description="Metrics not to score.")
    disable_score: bool = Field(False, description="Do not score.")


class PlotSpec(Section):
    """Which charts are published."""

    plot_cron_schedule: Cron = Field("0 * * * *", description="When to publish charts.")
    plot_default_schedule_status: Status = Field("RUNNING", description=STATUS_WORDS)
    plot_trigger: Trigger = Field("cron", description=TRIGGER_WORDS)
    plot_sql: str | None = Field(
        None, description="Query (DuckDB dialect, translated) for the rows of the charts instead of the default one."
    )
    plot_max_n: int = Field(300, ge=10, le=10_000, description="Newest rows of a metric that a chart shows.")
    plot_max_metrics: int = Field(10, ge=1, le=50, description="Charts of one artifact; those with the highest recent scores come first.")
    plot_method: Literal["markdown-svg", "markdown-png"] = Field("markdown-svg", description="How an artifact carries its charts.")
    disable_plot: bool = Field(False, description="Publish no charts.")


class PipelineSpec(Section):
    """The chain in one run."""

    pipeline_cron_schedule: Cron = Field("*/10 * * * *", description="When to run the whole chain, in the pipeline layout.")
    pipeline_default_schedule_status: Status = Field("RUNNING", description=STATUS_WORDS)
    pipeline_trigger: Trigger = Field("cron", description=TRIGGER_WORDS)
    disable_pipeline: bool = Field(False, description="Do not run the whole chain.")
