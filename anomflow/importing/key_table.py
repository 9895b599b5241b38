"""The table of Anomstack's settings and ours, for the page about migrating."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from anomflow.batches.anomstack import find_foreign
from anomflow.importing.facts import OPTIONAL, SHIPPED
from anomflow.reference import plain
from anomflow.spec import SECTIONS, owners

# Settings of both whose meaning is not quite the same.
_DIFFERENCES: Final = {
    "alert_always": "one message for the newest point of each metric of a score run, once per point",
    "alert_recent_n": "accepted without effect: every row is judged once",
    "alert_smooth_n": "a trailing mean over older rows",
    "alert_snooze_n": "counts scored rows before and after an alert",
    "alert_threshold": "unset, the threshold follows from `alert_false_alarms_per_month`; a number keeps its sense",
    "change_detect_last_n": "rows that must all show it, not the newest that are looked at",
    "change_max_n": "rows a metric",
    "change_snooze_n": "counts rows before and after a change",
    "change_sql": "other variables and columns: [Queries](reference/settings.md#queries)",
    "change_threshold": "for `change_method: mad`; the default `shift` follows `change_false_alarms_per_month`",
    "delete_after_n_days": "ingest itself drops the rows",
    "disable_tholdalert": "thresholds that are given are checked",
    "ingest_fn": "the source is not a Jinja template; it runs in a process of its own",
    "ingest_sql": "in its database's own dialect, not translated",
    "metric_tags": "texts only",
    "model_path": "models are fitted anew",
    "plot_sql": "other variables and columns: [Queries](reference/settings.md#queries)",
    "score_max_n": "bounds only the first scoring of a metric",
    "score_metric_timestamp_max_days_ago": "a row is judged when it arrives this late at most, whatever the schedules",
    "score_sql": "other variables and columns: [Queries](reference/settings.md#queries)",
    "tholdalert_snooze_n": "counts rows before and after an alert",
    "train_min_n": "rows that a metric needs before it is scored",
    "train_sql": "other variables and columns: [Queries](reference/settings.md#queries)",
}
_SHORT: Final = 40


def build_key_table() -> str:
    """Build a row for each setting of Anomstack: its default there, the default here, and what is different."""
    return "\n".join(["| Anomstack | default there | default here | what is different |", "|---|---|---|---|", *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    for key in sorted([*SHIPPED, *OPTIONAL, "disable_alerts"]):
        there = f"`{_write(SHIPPED[key])}`" if key in SHIPPED else ""
        yield f"| `{key}` | {there} | {_describe_here(key)} |"


def _describe_here(key: str) -> str:
    if key in owners():
        field = SECTIONS[owners()[key]].model_fields[key]
        default = "required" if field.is_required() else f"`{_write(plain(field.default))}`"
        return f"{default} | {_DIFFERENCES.get(key, '')}"
    foreign = find_foreign(key)
    assert foreign is not None  # noqa: S101 - a test has each key of the table
    if foreign.ours is not None:
        return f"| renamed: `{foreign.ours}`"
    return f"| {foreign.words if foreign.fate == 'not built' else f'no effect: {foreign.words}'}"


def _write(value: Any) -> str:
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."
