"""The tables and frames that pass between the rooms: their columns, keys and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

UTC: Final = pl.Datetime("us", "UTC")

METRIC: Final = "metric"
SCORE: Final = "score"


@dataclass(frozen=True)
class Table:
    """A table of the warehouse: what is added to the table key, columns in order, the columns that identify a row."""

    suffix: str
    columns: dict[str, pl.DataType]
    key: tuple[str, ...]

    def name(self, table_key: str) -> str:
        """Return the table's name under a table key (``metrics`` -> ``metrics_alerts``)."""
        return f"{table_key}{self.suffix}"

    def find_key(self, name: str) -> str:
        """Return the table key from the table's name (``metrics_alerts`` -> ``metrics``)."""
        return name.removesuffix(self.suffix)


OBSERVATIONS: Final = Table(
    "",
    {
        "metric_timestamp": UTC,
        "metric_batch": pl.String(),
        "metric_name": pl.String(),
        "metric_type": pl.String(),
        "metric_value": pl.Float64(),
        "metadata": pl.String(),
    },
    ("metric_batch", "metric_name", "metric_type", "metric_timestamp"),
)

MODELS: Final = Table(
    "_models",
    {
        "version": pl.String(),
        "metric_batch": pl.String(),
        "shard": pl.Int64(),
        "object_name": pl.String(),
        "sha256": pl.String(),
        "settings": pl.String(),
        "fingerprint": pl.String(),
        "origin": UTC,
        "checkpoint": UTC,
        "metrics": pl.Int64(),
        "library_versions": pl.String(),
        "created": UTC,
    },
    ("version", "shard"),
)

ALERTS: Final = Table(
    "_alerts",
    {
        "alert_id": pl.String(),
        "metric_batch": pl.String(),
        "metric_name": pl.String(),
        "kind": pl.String(),
        "metric_timestamp": UTC,
        "detected_at": UTC,
        "metric_value": pl.Float64(),
        "expected_low": pl.Float64(),
        "expected_high": pl.Float64(),
        "anomaly_score": pl.Float64(),
        "surprise": pl.Float64(),
        "reason": pl.String(),
        "status": pl.String(),
        "message_id": pl.String(),
        "tags": pl.String(),
        "feedback": pl.String(),
        "feedback_at": UTC,
        "feedback_note": pl.String(),
    },
    ("alert_id",),
)

DELIVERIES: Final = Table(
    "_deliveries",
    {
        "message_id": pl.String(),
        "channel": pl.String(),
        "metric_batch": pl.String(),
        "state": pl.String(),
        "attempts": pl.Int64(),
        "next_attempt_at": UTC,
        "claimed_by": pl.String(),
        "claimed_until": UTC,
        "sent_at": UTC,
        "error": pl.String(),
        "created": UTC,
    },
    ("message_id", "channel"),
)

LEDGER: Final = (ALERTS, DELIVERIES)  # what `ledger_db` keeps
TABLES: Final = (OBSERVATIONS, MODELS, *LEDGER)


def find_table_key(name: str) -> str:
    """Return the table key from the name of any of its tables."""
    table = next((table for table in TABLES if table.suffix and name.endswith(table.suffix)), OBSERVATIONS)
    return table.find_key(name)


# What scoring returns: one row a judged bucket or row. `anomaly` is A of the detector's combination;
# `reason` is null for a scored row, else why it has no score; `snooze_from` and `snooze_until` are the
# times of the rows `alert_snooze_n` before and after this one (inclusive), null where there are fewer.
SCORES: Final[dict[str, pl.DataType]] = {
    "metric_name": pl.String(),
    "metric_timestamp": UTC,
    "metric_value": pl.Float64(),
    "anomaly": pl.Float64(),
    "state": pl.Float64(),
    "anomaly_score": pl.Float64(),
    "surprise": pl.Float64(),
    "threshold": pl.Float64(),
    "expected": pl.Float64(),
    "expected_low": pl.Float64(),
    "expected_high": pl.Float64(),
    "reason": pl.String(),
    "explanation": pl.String(),
    "flat_rows": pl.Int64(),
    "step_seconds": pl.Float64(),
    "snooze_from": UTC,
    "snooze_until": UTC,
}

# What a chart shows of one metric, oldest first; `alert` is the kind of an alert at that time, else null.
HISTORY: Final[dict[str, pl.DataType]] = {
    "metric_timestamp": UTC,
    "metric_value": pl.Float64(),
    "expected_low": pl.Float64(),
    "expected_high": pl.Float64(),
    "anomaly_score": pl.Float64(),
    "threshold": pl.Float64(),
    "alert": pl.String(),
}
