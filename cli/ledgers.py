"""Alerts of several batches: found by what a person asks for, and one of them by the beginning of its id."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from cli.reading import Ledgers, Reading, read_batches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from anomflow.protocols import Session
    from cli.output import Output

_EQUAL = ("kind", "status")
_WILDCARDS = str.maketrans({"%": "", "_": "", "\\": ""})
_START = "[0-9a-f-]{4,36}"


@dataclass(frozen=True)
class Wanted:
    """Which alerts: conditions that are None hold for all; ``start`` is how the id begins, ``metric`` may have ``*``."""

    kind: str | None = None
    status: str | None = None
    metric: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    start: str = ""


@dataclass(frozen=True)
class Found:
    """Alerts, the newest first, and the batches that could not be read."""

    rows: Sequence[dict[str, Any]]
    broken: Sequence[Reading[Any]] = ()


def find_alerts(output: Output, batches: Sequence[str], wanted: Wanted) -> Found:
    """Read the alerts of batches (none named: all)."""
    from anomflow.frames import ALERTS  # noqa: PLC0415 - `--help` need not wait for it

    def read(ledgers: Ledgers) -> pl.DataFrame:
        return ledgers.read(ALERTS, lambda session: build_condition(session, ledgers, wanted))

    readings = read_batches(output, batches, read)
    rows = [describe_alert(row) for reading in readings if reading.value is not None for row in reading.value.iter_rows(named=True)]
    rows = [row for row in rows if _is_named(row, wanted.metric)]
    rows.sort(key=lambda row: (row["metric_timestamp"], row["alert_id"]), reverse=True)
    return Found(rows, [reading for reading in readings if reading.problem])


def build_condition(session: Session, ledgers: Ledgers, wanted: Wanted) -> str:
    """Build the condition for what a database can tell; names of metrics are compared afterwards."""
    parts = [ledgers.of_batch(session)]
    parts += [f"{session.identifier(name)} = {session.literal(value)}" for name in _EQUAL if (value := getattr(wanted, name)) is not None]
    bounds = ((">=", wanted.since), ("<=", wanted.until))
    parts += [f"{session.identifier('metric_timestamp')} {sign} {session.literal(at)}" for sign, at in bounds if at is not None]
    if wanted.start:
        parts.append(f"{session.identifier('alert_id')} like {session.literal(wanted.start.translate(_WILDCARDS) + '%')}")
    return " and ".join(parts)


def _is_named(row: dict[str, Any], pattern: str | None) -> bool:
    from anomflow.decisions.names import matches  # noqa: PLC0415 - as above

    return pattern is None or matches(row["metric_name"], [pattern])


def describe_alert(row: dict[str, Any]) -> dict[str, Any]:
    """Return an alert's row with its tags as a mapping."""
    return {**row, "tags": json.loads(row["tags"] or "{}")}


def find_alert(output: Output, start: str) -> dict[str, Any]:
    """Find the one alert whose id begins so; raises typer.BadParameter where there is none, or several."""
    if not re.fullmatch(_START, start):
        raise typer.BadParameter(f"{start!r} is not the id of an alert, nor its first four characters or more", param_hint="ALERT_ID")
    found = find_alerts(output, [], Wanted(start=start))
    if len(found.rows) == 1:
        return found.rows[0]
    broken = "".join(f"; {reading.name} could not be read ({reading.problem})" for reading in found.broken)
    if not found.rows:
        raise typer.BadParameter(f"no alert has an id that begins with {start!r}{broken}; `anomflow alerts` lists them")
    ids = ", ".join(row["alert_id"] for row in found.rows[:5])
    raise typer.BadParameter(f"{start!r} begins the ids of {len(found.rows)} alerts, give more of it: {ids}")
