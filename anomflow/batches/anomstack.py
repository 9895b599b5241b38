"""Settings of Anomstack that are none here: what became of each, so that its batch files load as they are.

A key that is a setting of ours (``anomflow.spec``) is never looked up here, whatever the table says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Fate = Literal["renamed", "no effect", "not built"]


@dataclass(frozen=True)
class ForeignKey:
    """What became of a setting: ``words`` say why it has no effect, ``ours`` is its present name where it has one."""

    fate: Fate
    words: str
    ours: str | None = None


_RETENTION: Final = ForeignKey("no effect", "ingest itself drops rows older than delete_after_n_days")
_OWN_QUERY: Final = ForeignKey("no effect", "queries only select rows here; what is an anomaly is decided in Python")
_JOB_QUERY: Final = ForeignKey("not built", "its job is not part of this version")
_OF_A_MODEL: Final = ForeignKey("no effect", "it belongs to a model in model_configs")

FOREIGN_KEYS: Final[dict[str, ForeignKey]] = {
    "alert_max_n": ForeignKey("no effect", "every row is judged once; plot_max_n says how many a chart shows"),
    "alert_metric_timestamp_max_days_ago": ForeignKey("no effect", "alert_max_age says how old a point may be"),
    "alert_recent_n": ForeignKey("no effect", "every row is judged once"),
    "alert_sql": _OWN_QUERY,
    "anomaly_agent_detection_prompt": _JOB_QUERY,
    "anomaly_agent_verification_prompt": _JOB_QUERY,
    "change_smooth_n": ForeignKey("no effect", "a change shows in several rows here, each as it is"),
    "delete_cron_schedule": _RETENTION,
    "delete_default_schedule_status": _RETENTION,
    "delete_sql": _RETENTION,
    "disable_alerts": ForeignKey("renamed", "it is called disable_alert", "disable_alert"),
    "disable_dashboard": ForeignKey("not built", "there is no dashboard in this version"),
    "disable_delete": _RETENTION,
    "disable_llmalert": ForeignKey("not built", "alerts by language models are not part of this version"),
    "disable_summary": ForeignKey("not built", "summaries are not part of this version"),
    "gcp_project_id": ForeignKey("no effect", "the block of the warehouse names its project"),
    "model_name": _OF_A_MODEL,
    "model_params": _OF_A_MODEL,
    "model_tag": _OF_A_MODEL,
    "prompt_fn": ForeignKey("not built", "alerts by language models are not part of this version"),
    "tholdalert_methods": ForeignKey("no effect", "alerts of every kind go to alert_methods"),
    "tholdalert_recent_n": ForeignKey("no effect", "every new or changed value is checked once"),
}
FOREIGN_PREFIXES: Final[dict[str, ForeignKey]] = {
    "dashboard_": ForeignKey("not built", "there is no dashboard in this version"),
    "delete_": _RETENTION,
    "llmalert_": ForeignKey("not built", "alerts by language models are not part of this version"),
    "summary_": ForeignKey("not built", "summaries are not part of this version"),
}
_STATUS_SUFFIX: Final = "_default_schedule_status"
FOREIGN_PATTERNS: Final = (*(f"{prefix}.*" for prefix in FOREIGN_PREFIXES), f".*{_STATUS_SUFFIX}")


def find_foreign(key: str) -> ForeignKey | None:
    """Return what became of a setting of Anomstack; None for a key that it has not either."""
    if key in FOREIGN_KEYS:
        return FOREIGN_KEYS[key]
    by_prefix = next((foreign for prefix, foreign in FOREIGN_PREFIXES.items() if key.startswith(prefix)), None)
    is_status = key.endswith(_STATUS_SUFFIX)
    return by_prefix or (ForeignKey("no effect", "there is no such job") if is_status else None)
