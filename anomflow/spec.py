"""The settings of a metric batch: one frozen section a job, each key as it stands in the YAML.

Defaults exist here and nowhere else. ``SECTIONS`` names the section that owns each flat key; loading, merging and
the messages about wrong keys live in ``anomflow.batches``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from anomflow.deploy_spec import BatchDeploy, inline_schema
from anomflow.kinds import WAREHOUSES
from anomflow.setting_types import (
    BLOCK_PATTERN,
    MIN_CHANGE_PATTERN,
    STORE_PATTERN,
    Cron,
    Day,
    Duration,
    Moment,
    Names,
    PositiveDuration,
    Status,
    Trigger,
)

Job = Literal["ingest", "train", "score", "change", "alert", "plot", "pipeline"]
JOBS: Final[tuple[Job, ...]] = ("ingest", "train", "score", "change", "alert", "plot", "pipeline")

_STATUS_WORDS: Final = "Whether the job's schedule is active (`RUNNING`) or made but paused (`STOPPED`) when it is deployed."
_TRIGGER_WORDS: Final = "What starts the job when it is deployed: its `cron`, another job of the batch (`after ingest`), or you (`manual`)."

# A century and more, which no clock or type has trouble with.
MAX_DAYS: Final = 100_000


class Section(BaseModel):
    """The settings that one job owns."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class CommonSpec(Section):
    """What every job of a batch needs to know."""

    metric_batch: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=120, description="Name of the batch, unique among all files."
    )
    db: str = Field(
        "duckdb",
        description=f"Warehouse of the batch: a kind ({', '.join(f'`{kind}`' for kind in WAREHOUSES)}) or a block, `kind/block-name`.",
        json_schema_extra={"pattern": f"^{BLOCK_PATTERN}$"},
    )
    ledger_db: str | None = Field(
        None,
        description="Database of the batch's alerts and deliveries, where it is not `db`: a kind or a block, as there.",
        json_schema_extra={"pattern": f"^{BLOCK_PATTERN}$"},
    )
    table_key: str = Field(
        "metrics",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}$",
        description="Table of the batch's rows; its models, alerts and deliveries lie beside it.",
    )
    timezone: str = Field("UTC", description="Time zone (IANA name) of timestamps that have none, and of buckets from one day on.")
    metric_tags: dict[str, dict[str, str]] = Field(
        {},
        description="Tags of alerts by metric: a name, or a pattern in which `*` stands for any text (`'*'`: every metric)."
        " A metric has the tags of all entries that match; where they differ, its own name's win, else those of the later entry.",
    )
    disable_batch: bool = Field(False, description="Leave the batch out everywhere.")
    vars: dict[str, Any] = Field({}, description="Variables of your own for the batch's Jinja templates.")
    prompt_fn: str | None = Field(None, description="Accepted from Anomstack without effect: no job of this version asks a language model.")

    @property
    def has_ledger_apart(self) -> bool:
        """Tell whether the alerts and deliveries lie in another database than the rows."""
        return self.ledger_db is not None and self.ledger_db.strip() != self.db.strip()


class FeatureSpec(Section):
    """What is made of rows before a detector sees them; a change rebuilds the models."""

    freq: PositiveDuration | None = Field(
        None, description="Width of the buckets that rows are aggregated to (`10min`, `1h`, `1d`); none: rows as they are."
    )
    freq_agg: Literal["mean", "sum", "min", "max", "median", "last", "count"] = Field(
        "mean", description="How the rows of a bucket become its value."
    )
    freq_grace: Duration = Field(timedelta(0), description="Wait this long after a bucket's end before it counts as complete.")


class IgnoredPeriod(Section):
    """A planned event: from when (inclusive) to when (exclusive), the metrics (a name, or a pattern with ``*``), and why."""

    start: Moment
    end: Moment
    metrics: str = Field("*", min_length=1)
    reason: str = ""

    @model_validator(mode="after")
    def _check_order(self) -> IgnoredPeriod:
        # A time without a zone is the batch's, which is not known here: what has one is compared with its like only.
        if (self.start.tzinfo is None) == (self.end.tzinfo is None) and self.end <= self.start:
            msg = f"end {self.end} is not after start {self.start}; the end is the first moment that counts again"
            raise ValueError(msg)
        return self

    def span(self, timezone: str) -> tuple[datetime, datetime]:
        """Return start and end with their zones; a time without one is of ``timezone``."""
        zone = ZoneInfo(timezone)
        start, end = (time if time.tzinfo else time.replace(tzinfo=zone) for time in (self.start, self.end))
        return start, end


_PERIODS_SCHEMA = WithJsonSchema(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["start", "end"],
            "additionalProperties": False,
            "properties": {name: {"type": "string"} for name in ("start", "end", "metrics", "reason")},
        },
    }
)


_DAYS_SCHEMA = WithJsonSchema(
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string", "pattern": r"^\s*\d{4}-\d{2}-\d{2}\s*$"}}}
)


class CalendarSpec(Section):
    """Days and times that are not like others."""

    ignore_periods: Annotated[tuple[IgnoredPeriod, ...], _PERIODS_SCHEMA] = Field(
        (),
        description="Planned events, each with `start`, `end` (the first moment that counts again), and where wanted `metrics` (a name,"
        " or a pattern with `*`) and `reason`: rows in them are neither judged nor learned. Times without a zone are of `timezone`.",
    )
    holidays: Names = Field(
        (),
        description="Countries, or parts of countries, whose public holidays are compared with earlier holidays and with Sundays, not with"
        " usual days of the same weekday (`DE`, `DE-BY`, `[DE, FR]`; by the package `holidays`); the default detector heeds them.",
    )
    special_days: Annotated[dict[str, tuple[Day, ...]], _DAYS_SCHEMA] = Field(
        {},
        description="Recurring days of your own by name (`black_friday: [2025-11-28, 2026-11-27]`): each is compared with the earlier ones"
        " of its name; the default detector heeds them.",
    )


class PreprocessParams(Section):
    """How rows become features of PyOD models; a `preprocess_fn` may be given parameters of its own besides."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_default=True)

    diff_n: int = Field(1, ge=0, le=1000, description="Rows back that a difference is taken over; 0: none.")
    smooth_n: int = Field(3, ge=0, le=1000, description="Rows of the trailing mean; 0 or 1: none.")
    lags_n: int = Field(5, ge=0, le=200, description="Earlier rows that stand beside each row.")

    @property
    def lookback(self) -> int:
        """Return how many earlier rows a row's features need."""
        return self.diff_n + max(self.smooth_n - 1, 0) + self.lags_n


class ModelConfig(Section):
    """One model of PyOD by the name of its class, its parameters, what it is called in messages, its weight in a mean."""

    model_name: str = Field(min_length=1)
    model_params: dict[str, Any] = {}
    model_tag: str | None = None
    model_weight: float = Field(1.0, gt=0, le=1000)

    @property
    def label(self) -> str:
        """Return what the model is called in messages."""
        return self.model_tag or self.model_name


_MODELS_SCHEMA = WithJsonSchema(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["model_name"],
            "additionalProperties": False,
            "properties": {
                "model_name": {"type": "string"},
                "model_params": {"type": "object"},
                "model_tag": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "model_weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
            },
        },
    }
)
_PREPROCESS_SCHEMA = WithJsonSchema(
    {
        "type": "object",
        "properties": {name: {"type": "integer", "minimum": 0} for name in ("diff_n", "smooth_n", "lags_n")},
    }
)


DEFAULT_MODEL: Final = "multiview"
# Small and cheap, and of two kinds: what a row's neighbours are, and what its columns have in common.
ALTERNATIVES: Final = (ModelConfig(model_name="KNN"), ModelConfig(model_name="PCA"))


class DetectorSpec(Section):
    """Which detector judges, and what it is given; a change rebuilds the models."""

    model_configs: Annotated[tuple[ModelConfig, ...], _MODELS_SCHEMA] = Field(
        (),
        description="Models of PyOD: `model_name` (the class), and where wanted `model_params`, `model_tag`, `model_weight`; "
        "none: the `multiview` detector.",
    )
    model_selection: Literal["fixed", "auto"] = Field(
        "fixed",
        description="`auto`: each metric is judged by `multiview` or, where that finds clearly more of the anomalies injected into the"
        " metric's own past, by one of `model_configs` alone (none given: KNN, PCA).",
    )
    model_combination_method: Literal["quadratic", "mean", "min", "max"] = Field(
        "quadratic",
        description="How the surprises of several models become one: weighted quadratic mean, weighted mean, least, greatest.",
    )
    model_max_n: int = Field(2500, ge=50, le=8000, description="Newest rows that a model of PyOD is fitted on.")
    model_seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of models that draw random numbers.")
    preprocess_params: Annotated[PreprocessParams, _PREPROCESS_SCHEMA] = Field(
        PreprocessParams(),
        description="Features of models of PyOD: difference over `diff_n` rows, then the mean of `smooth_n`, then that of each of `lags_n` "
        "rows before; or the parameters of `preprocess_fn`.",
    )
    preprocess_fn: str | None = Field(
        None,
        description="Python source (or a lone include of a file) that defines `preprocess(rows, **preprocess_params)`, for other features.",
    )

    @property
    def alternatives(self) -> tuple[ModelConfig, ...]:
        """Return the models that may be chosen instead of the default detector; none with a fixed choice."""
        named = tuple(model for model in self.model_configs if model.model_name != DEFAULT_MODEL)
        return () if self.model_selection == "fixed" else named or ALTERNATIVES


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
    ingest_default_schedule_status: Status = Field("RUNNING", description=_STATUS_WORDS)
    ingest_trigger: Trigger = Field("cron", description=_TRIGGER_WORDS)
    ingest_metric_rounding: int = Field(4, ge=-12, le=12, description="Decimals that values are rounded to when they are ingested.")
    disable_ingest: bool = Field(False, description="Do not ingest: others fill the table.")
    delete_after_n_days: int = Field(365, ge=1, le=MAX_DAYS, description="Ingest drops rows older than this many days.")


class ThresholdSpec(Section):
    """Static bounds, checked whenever a value is new or changed."""

    disable_tholdalert: bool = Field(False, description="Do not check static thresholds.")
    tholdalert_thresholds: dict[str, dict[Literal["upper", "lower"], float]] = Field(
        {}, description="`upper` and `lower` bound by metric name; a value beyond a bound (not on it) alerts."
    )
    tholdalert_exclude_metrics: Names = Field((), description="Metrics whose thresholds are not checked.")
    tholdalert_snooze_n: int = Field(
        10, ge=0, description="Rows of a metric before and after a threshold alert in which another one is snoozed."
    )


class TrainSpec(Section):
    """How the detectors learn."""

    train_cron_schedule: Cron = Field("0 * * * *", description="When to train.")
    train_default_schedule_status: Status = Field("RUNNING", description=_STATUS_WORDS)
    train_trigger: Trigger = Field("cron", description=_TRIGGER_WORDS)
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
    score_default_schedule_status: Status = Field("RUNNING", description=_STATUS_WORDS)
    score_trigger: Trigger = Field("cron", description=_TRIGGER_WORDS)
    score_sql: str | None = Field(None, description="Query (DuckDB dialect, translated) for the rows to score instead of the default one.")
    score_max_n: int = Field(1000, ge=1, le=1_000_000, description="Newest rows of a metric that its first scoring judges.")
    score_metric_timestamp_max_days_ago: int = Field(
        14, ge=1, le=MAX_DAYS, description="A row is judged when it arrives at most this many days after its timestamp."
    )
    score_metric_rounding: int = Field(4, ge=0, le=12, description="Decimals of the stored anomaly score.")
    score_include_metrics: Names = Field((), description="Metrics to score; none given means all.")
    score_exclude_metrics: Names = Field((), description="Metrics not to score.")
    disable_score: bool = Field(False, description="Do not score.")


class ChangeSpec(Section):
    """Which changes of level are worth an alert."""

    change_cron_schedule: Cron = Field("*/10 * * * *", description="When to look for changes.")
    change_default_schedule_status: Status = Field("RUNNING", description=_STATUS_WORDS)
    change_trigger: Trigger = Field("cron", description=_TRIGGER_WORDS)
    change_sql: str | None = Field(
        None, description="Query (DuckDB dialect, translated) for the rows that are looked at instead of the default one."
    )
    change_method: Literal["shift", "mad"] = Field(
        "shift",
        description="`shift`: the level of the newest rows against that of the rows before, a day and a week ago;"
        " `mad`: values far from the median of all rows before (PyOD's MAD, as Anomstack uses it).",
    )
    change_false_alarms_per_month: float = Field(
        0.5, gt=0, le=1000, description="False changes that `shift` may report of a metric in 30 days; its threshold follows from it."
    )
    change_threshold: float = Field(
        3.5, gt=0, le=1e6, description="Distance from the median, in robust standard deviations, that `mad` calls a change."
    )
    change_detect_last_n: int = Field(
        3,
        ge=1,
        le=50,
        description="Rows that a change takes to show: `mad` asks it of as many rows in a row, `shift` of as many of 2n - 1.",
    )
    change_snooze_n: int = Field(10, ge=0, description="Rows of a metric before and after a change in which another one is snoozed.")
    change_max_n: int = Field(4000, ge=50, le=100_000, description="Newest rows of a metric that are looked at.")
    change_metric_timestamp_max_days_ago: int = Field(
        90, ge=1, le=MAX_DAYS, description="Rows older than this many days are not looked at."
    )
    change_include_metrics: Names = Field((), description="Metrics whose changes are looked for; none given means all.")
    change_exclude_metrics: Names = Field((), description="Metrics whose changes are not looked for.")
    disable_change: bool = Field(False, description="Do not look for changes.")


class AlertSpec(Section):
    """What is worth an alert, and how it is told."""

    alert_cron_schedule: Cron = Field("*/10 * * * *", description="When to deliver alerts.")
    alert_default_schedule_status: Status = Field("RUNNING", description=_STATUS_WORDS)
    alert_trigger: Trigger = Field("cron", description=_TRIGGER_WORDS)
    alert_methods: Names = Field(
        ("file",),
        description="Channels: `file`, `console`, `email`, `slack`, `teams`, `discord`, `mattermost`, `pagerduty`, `opsgenie`, `webhook`, "
        "or blocks, `kind/block-name`.",
    )
    alert_false_alarms_per_month: float = Field(
        2.0, gt=0, le=1000, description="False alarms that a metric may raise in 30 days; the threshold follows from it."
    )
    alert_threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Anomaly score from which a row alerts, instead of the one that follows from the false alarms asked for.",
    )
    alert_direction: Literal["both", "up", "down"] = Field(
        "both", description="Alert on values above (`up`) or below (`down`) the expected one only."
    )
    alert_min_change: Annotated[str | float, Field(union_mode="left_to_right")] | None = Field(
        None,
        description="Smallest distance from the expected value that is worth an alert: a number, or a percentage such as `10%`.",
        json_schema_extra={"minimum": 0, "pattern": f"^{MIN_CHANGE_PATTERN}$"},
    )
    alert_smooth_n: int = Field(
        0, ge=0, le=1000, description="Rows of a trailing mean over the anomaly score (A) that is judged instead of it; 0 or 1: off."
    )
    alert_snooze_n: int = Field(10, ge=0, description="Rows of a metric before and after an alert in which another one is snoozed.")
    alert_max_age: PositiveDuration | None = Field(
        None,
        description="An alert whose point is older when detected is recorded as late, not sent; none: the larger of 24 hours and 3 steps.",
    )
    alert_always: bool = Field(False, description="Send the newest point of each metric of a score run as an information.")
    alert_recent_n: int | None = Field(None, description="Accepted from Anomstack without effect: every row is judged once.")
    alert_message_max_metrics: int = Field(
        20, ge=1, description="Metrics that a message shows in its table; those beyond it stand in a list."
    )
    alert_message_subject: str | None = Field(
        None, description="Jinja template (or a lone include of a file) of a message's subject, instead of the default one."
    )
    alert_message_text: str | None = Field(
        None, description="Jinja template (or a lone include of a file) of a message's plain text, instead of the default one."
    )
    alert_message_html: str | None = Field(
        None,
        description="Jinja template (or a lone include of a file) of a message's HTML, instead of the default one;"
        " it may extend `anomflow/message.html`.",
    )
    alert_include_metrics: Names = Field((), description="Metrics that may alert; none given means all.")
    alert_exclude_metrics: Names = Field((), description="Metrics that never alert.")
    delivery_max_age: PositiveDuration = Field(timedelta(days=3), description="A message that was not accepted for this long is given up.")
    delivery_max_attempts: int = Field(20, ge=1, description="Attempts after which a message is given up.")
    disable_flatline: bool = Field(False, description="Do not alert when a metric stays at one value for unusually long.")
    disable_freshness: bool = Field(False, description="Do not alert when a metric has had no new row for longer than expected.")
    freshness_max_age: PositiveDuration | None = Field(
        None,
        description="Age of a metric's newest row from which new ones are overdue; none: learned from the pauses of the last weeks.",
    )
    disable_missing: bool = Field(False, description="Do not alert when rows are missing within the history of a regular metric.")
    missing_min_rows: int = Field(1, ge=1, description="Rows that must be missing in a row to be worth an alert.")
    missing_grace: PositiveDuration | None = Field(
        None, description="How long after the next row a missing one may still come in; none: two runs of the job that brings rows."
    )
    disable_volume: bool = Field(False, description="Do not alert when a batch brings fewer metrics than it used to.")
    volume_min_share: float = Field(
        0.5, gt=0, lt=1, description="Share of the fewest metrics that a timestamp used to have, below which it has too few."
    )
    volume_grace: PositiveDuration | None = Field(
        None, description="How long after its time a row may still come in; none: two runs of the job that brings rows."
    )
    disable_alert: bool = Field(False, description="Deliver no alerts.")


class FeedbackSpec(Section):
    """What people's verdicts on alerts (`anomflow feedback`) change."""

    feedback_acts: bool = Field(
        True,
        description="Whether feedback acts: rejected alerts raise their metric's threshold, rows of confirmed and expected alerts are"
        " not learned. False: it is kept only.",
    )
    feedback_days: int = Field(
        90, ge=1, le=MAX_DAYS, description="A rejected alert raises the threshold for this many days from its point on."
    )
    feedback_max_factor: float = Field(
        8.0,
        ge=1,
        le=1000,
        description="Rejected alerts make false alarms at most so many times as rare as asked for, each of them twice as rare;"
        " 1: they do not.",
    )


class PlotSpec(Section):
    """Which charts are published."""

    plot_cron_schedule: Cron = Field("0 * * * *", description="When to publish charts.")
    plot_default_schedule_status: Status = Field("RUNNING", description=_STATUS_WORDS)
    plot_trigger: Trigger = Field("cron", description=_TRIGGER_WORDS)
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
    pipeline_default_schedule_status: Status = Field("RUNNING", description=_STATUS_WORDS)
    pipeline_trigger: Trigger = Field("cron", description=_TRIGGER_WORDS)
    disable_pipeline: bool = Field(False, description="Do not run the whole chain.")


class DeploySpec(Section):
    """Where the jobs run when they are deployed."""

    deploy: Annotated[BatchDeploy, WithJsonSchema(inline_schema(BatchDeploy))] = Field(
        BatchDeploy(),
        description="Where and with how much the batch's jobs run: `work_pool`, `work_queue`, `image`, `cpu`, `memory`, `timeout`,"
        " `job_variables`, `tags`, and `jobs` with the same by job; the rest is that of `deploy.yaml`.",
    )


class BatchSpec(BaseModel):
    """The effective settings of one batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    common: CommonSpec
    features: FeatureSpec = FeatureSpec()
    calendar: CalendarSpec = CalendarSpec()
    detector: DetectorSpec = DetectorSpec()
    models: ModelSpec = ModelSpec()
    ingest: IngestSpec = IngestSpec()
    thresholds: ThresholdSpec = ThresholdSpec()
    train: TrainSpec = TrainSpec()
    score: ScoreSpec = ScoreSpec()
    change: ChangeSpec = ChangeSpec()
    alert: AlertSpec = AlertSpec()
    feedback: FeedbackSpec = FeedbackSpec()
    plot: PlotSpec = PlotSpec()
    pipeline: PipelineSpec = PipelineSpec()
    deploy: DeploySpec = DeploySpec()

    @property
    def name(self) -> str:
        """Return the batch's name."""
        return self.common.metric_batch

    def is_disabled(self, job: Job) -> bool:
        """Tell whether a job of this batch is switched off."""
        return self.common.disable_batch or bool(getattr(getattr(self, job), f"disable_{job}"))

    def is_scheduled(self, job: Job) -> bool:
        """Tell whether a deployment of a job starts by itself: neither switched off nor STOPPED."""
        return not self.is_disabled(job) and bool(getattr(getattr(self, job), f"{job}_default_schedule_status") == "RUNNING")

    def trigger(self, job: Job) -> str:
        """Return what starts a job that is deployed: `cron`, `manual` or `after JOB`."""
        return str(getattr(getattr(self, job), f"{job}_trigger"))


SECTIONS: Final[dict[str, type[Section]]] = {
    "common": CommonSpec,
    "features": FeatureSpec,
    "calendar": CalendarSpec,
    "detector": DetectorSpec,
    "models": ModelSpec,
    "ingest": IngestSpec,
    "thresholds": ThresholdSpec,
    "train": TrainSpec,
    "score": ScoreSpec,
    "change": ChangeSpec,
    "alert": AlertSpec,
    "feedback": FeedbackSpec,
    "plot": PlotSpec,
    "pipeline": PipelineSpec,
    "deploy": DeploySpec,
}


@cache
def owners() -> dict[str, str]:
    """Return the section that owns each flat key."""
    return {key: name for name, section in SECTIONS.items() for key in section.model_fields}
