"""The settings that say which days and times are not like others."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, WithJsonSchema, model_validator

from anomflow.sections.base import Section
from anomflow.setting_types import Day, Moment, Names


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
