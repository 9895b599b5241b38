"""Times as people write them: ISO 8601, or an age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import typer


def parse_time(text: str | None) -> datetime | None:
    """Read an ISO 8601 time, UTC unless it has a zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time such as 2026-01-31T12:00", param_hint="TIME") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_when(text: str | None, now: datetime) -> datetime | None:
    """Read a time, or an age such as ``36h`` before ``now``."""
    if text is None:
        return None
    from anomflow.setting_types import parse_duration  # noqa: PLC0415 - `--help` need not wait for it

    try:
        age: Any = parse_duration(text)
        return now - age if isinstance(age, timedelta) else parse_time(text)
    except ValueError:
        return parse_time(text)
    except OverflowError as error:
        raise typer.BadParameter(f"{text!r} is before all calendars", param_hint="TIME") from error
