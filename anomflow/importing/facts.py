"""Anomstack's shipped defaults (of February 2026): a team's value that equals one of them was nobody's choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from anomflow.setting_types import expand_cron

_CRONS: Final = {
    "ingest": "*/3 * * * *",
    "train": "*/5 * * * *",
    "score": "*/4 * * * *",
    "alert": "*/5 * * * *",
    "change": "*/5 * * * *",
    "delete": "0 6 * * *",
    "llmalert": "*/5 * * * *",
    "plot": "*/5 * * * *",
    "summary": "0 9 * * *",
}
_SWITCHES: Final = {
    "batch": False,
    "dashboard": False,
    "tholdalert": True,
    "ingest": False,
    "train": False,
    "score": False,
    "alert": False,
    "change": False,
    "llmalert": True,
    "plot": False,
    "summary": False,
    "delete": False,
}
_QUERIES: Final = {
    "train": "train",
    "score": "score",
    "alert": "alerts",
    "change": "change",
    "plot": "plot",
    "llmalert": "llmalert",
    "dashboard": "dashboard",
    "delete": "delete",
    "summary": "summary",
}
# Queries of jobs that select other columns with other variables than ours do.
JOB_QUERIES: Final = frozenset(f"{job}_sql" for job in _QUERIES)

SHIPPED: Final[Mapping[str, Any]] = {
    "db": "duckdb",
    "table_key": "metrics",
    "dashboard_stale_metric_max_days_ago": 7,
    "model_path": "local://./models",
    "model_configs": [
        {"model_name": "PCA", "model_tag": "pca_default", "model_params": {"contamination": 0.01}},
        {"model_name": "KNN", "model_tag": "knn_default", "model_params": {"contamination": 0.01}},
    ],
    "model_combination_method": "mean",
    "train_max_n": 2500,
    "train_metric_timestamp_max_days_ago": 90,
    "train_min_n": 14,
    "score_max_n": 25,
    "score_metric_timestamp_max_days_ago": 14,
    "preprocess_params": {"diff_n": 1, "smooth_n": 3, "lags_n": 5, "freq": None, "freq_agg": "mean"},
    "alert_methods": "email,slack",
    "alert_always": False,
    "alert_metric_timestamp_max_days_ago": 45,
    "alert_recent_n": 1,
    "alert_max_n": 250,
    "alert_smooth_n": 3,
    "alert_snooze_n": 3,
    "alert_threshold": 0.8,
    "tholdalert_methods": "email,slack",
    "tholdalert_recent_n": 1,
    "tholdalert_snooze_n": 3,
    "change_metric_timestamp_max_days_ago": 45,
    "change_max_n": 250,
    "change_smooth_n": 1,
    "change_snooze_n": 3,
    "change_threshold": 3.5,
    "change_detect_last_n": 1,
    "llmalert_model": "gpt-5-mini",
    "llmalert_recent_n": 5,
    "llmalert_smooth_n": 0,
    "llmalert_metric_rounding": -1,
    "llmalert_metric_timestamp_max_days_ago": 30,
    "llmalert_prompt_max_n": 1000,
    "llmalert_include_plot": True,
    **{f"{job}_cron_schedule": cron for job, cron in _CRONS.items()},
    **{f"{job}_default_schedule_status": "STOPPED" for job in _CRONS if job != "summary"},
    **{f"{job}_sql": f'{{% include "./defaults/sql/{name}.sql" %}}' for job, name in _QUERIES.items()},
    "preprocess_fn": '{% include "./defaults/python/preprocess.py" %}',
    "prompt_fn": '{% include "./defaults/python/prompt.py" %}',
    "ingest_metric_rounding": 4,
    "score_metric_rounding": 4,
    "summary_metric_timestamp_max_days_ago": 1,
    **{f"disable_{thing}": value for thing, value in _SWITCHES.items()},
    "delete_after_n_days": 365,
}
# The files that these include, which Anomflow does not need and must not take for its own.
SHIPPED_FILES: Final = frozenset(
    {*(f"defaults/sql/{name}.sql" for name in _QUERIES.values()), "defaults/python/preprocess.py", "defaults/python/prompt.py"}
)
# Settings that exist without a shipped value (commented out there), each of a batch or of the defaults.
OPTIONAL: Final = (
    "metric_batch",
    "ingest_sql",
    "ingest_fn",
    "metric_tags",
    "tholdalert_thresholds",
    "train_exclude_metrics",
    "score_exclude_metrics",
    "alert_exclude_metrics",
    "tholdalert_exclude_metrics",
    "change_include_metrics",
    "change_exclude_metrics",
    "llmalert_anomaly_agent_detection_prompt",
    "llmalert_anomaly_agent_verification_prompt",
)


def is_shipped(key: str, value: object) -> bool:
    """Tell whether a value is the one that Anomstack ships, however it is spelt (lists with commas, spaces in texts)."""
    return key in SHIPPED and _canonical(value) == _canonical(SHIPPED[key])


def _canonical(value: object) -> object:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ",".join(value)
    if isinstance(value, str):
        return "".join(str(expand_cron(value)).replace("'", '"').split())
    return value if not isinstance(value, bool) else f"bool {value}"
