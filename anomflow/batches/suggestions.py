"""What a wrong name was probably meant to be."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Settings of Anomstack that this version has no use for. Its batch files load as they are, so that these are told
# about instead of refused.
ANOMSTACK_KEYS: Final = frozenset(
    {
        "alert_max_n",
        "alert_metric_timestamp_max_days_ago",
        "alert_sql",
        "anomaly_agent_detection_prompt",
        "dashboard_sql",
        "dashboard_stale_metric_max_days_ago",
        "disable_change",
        "disable_dashboard",
        "disable_delete",
        "disable_llmalert",
        "disable_summary",
        "model_name",
        "model_params",
        "model_tag",
        "prompt_fn",
        "tholdalert_methods",
        "tholdalert_recent_n",
    }
)
ANOMSTACK_PREFIXES: Final = ("change_", "delete_", "llmalert_", "summary_", "dashboard_")
ANOMSTACK_SUFFIX: Final = "_default_schedule_status"


def is_anomstack_key(key: str) -> bool:
    """Tell whether a key is a setting of Anomstack that is not one here."""
    return key in ANOMSTACK_KEYS or key.startswith(ANOMSTACK_PREFIXES) or key.endswith(ANOMSTACK_SUFFIX)


def suggest(name: str, known: Sequence[str], cutoff: float = 0.75) -> str:
    """Return the sentence that names what was probably meant, with a space before it; empty where nothing comes near.

    >>> suggest("alert_treshold", ["alert_threshold", "db"])
    ' Did you mean alert_threshold?'
    """
    close = get_close_matches(name, known, n=1, cutoff=cutoff)
    return f" Did you mean {close[0]}?" if close else ""
