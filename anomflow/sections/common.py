"""What every job of a batch needs to know: its name, its databases and table, and how its rows become features."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from anomflow.kinds import WAREHOUSES
from anomflow.sections.base import Section
from anomflow.setting_types import BLOCK_PATTERN, Duration, PositiveDuration


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
