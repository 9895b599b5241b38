"""The settings that say what is worth an alert, how it is told, and what feedback on it changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from anomflow.sections.base import MAX_DAYS, STATUS_WORDS, TRIGGER_WORDS, Section
from anomflow.setting_types import MIN_CHANGE_PATTERN, Cron, Names, PositiveDuration, Status, Trigger


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


class ChangeSpec(Section):
    """Which changes of level are worth an alert."""

    change_cron_schedule: Cron = Field("*/10 * * * *", description="When to look for changes.")
    change_default_schedule_status: Status = Field("RUNNING", description=STATUS_WORDS)
    change_trigger: Trigger = Field("cron", description=TRIGGER_WORDS)
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
    alert_default_schedule_status: Status = Field("RUNNING", description=STATUS_WORDS)
    alert_trigger: Trigger = Field("cron", description=TRIGGER_WORDS)
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
