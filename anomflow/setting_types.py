"""The kinds of values that settings have: durations, schedules, lists of names, as they are written in YAML."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([T ]|$)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d|w)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_duration(value: object) -> object:
    """Read ``36h``, ``10min``, ``1d`` or a number of seconds as a timedelta; leave ISO 8601 and anything else to pydantic.

    Raises ValueError for another text, and for a duration that is too long.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float) or str(value).startswith("P"):
        return value  # ISO 8601 (PT36H), as settings are stored with a model, is pydantic's own
    match = _DURATION.fullmatch(str(value).strip()) if isinstance(value, str) else None
    if isinstance(value, str) and match is None:
        msg = f"{value!r} is not a duration; write for example 90s, 10min, 36h, 2d or 1w"
        raise ValueError(msg)
    seconds = float(value) if match is None else float(match[1]) * _UNIT_SECONDS[match[2]]
    try:
        return timedelta(seconds=seconds)
    except OverflowError as error:
        msg = f"{value!r} is longer than a duration can be"
        raise ValueError(msg) from error


def format_duration(value: timedelta) -> str:
    """Write a duration as ``parse_duration`` reads it, in the largest unit that divides it (``36h``, ``10min``, ``1.5s``)."""
    for unit in ("d", "h", "min"):
        count, rest = divmod(value, timedelta(seconds=_UNIT_SECONDS[unit]))
        if count and not rest:
            return f"{count}{unit}"
    return f"{value / timedelta(seconds=1):.15g}s"


def _check_positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        msg = f"{value} is not a positive duration"
        raise ValueError(msg)
    return value


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


_CRON_NAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def expand_cron(value: object) -> object:
    """Write the name of a schedule (``@hourly``) as the five fields that it stands for; leave anything else as it is."""
    return _CRON_NAMES.get(value.strip().lower(), value) if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def check_moment(value: object) -> object:
    """Let a date or a time through; raise ValueError for anything else, such as a number, which pydantic would take for an epoch."""
    if isinstance(value, date) or (isinstance(value, str) and _MOMENT.match(value.strip())):
        return value.strip() if isinstance(value, str) else value
    msg = f"{value!r} is no date or time; write for example 2026-12-24, 2026-12-24 18:00 or 2026-12-24T18:00+01:00"
    raise ValueError(msg)


_DURATION_SCHEMA = WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{_DURATION.pattern}$"}, {"type": "number"}]})
_NAMES_SCHEMA = WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]})

Duration = Annotated[timedelta, BeforeValidator(parse_duration), _DURATION_SCHEMA]
PositiveDuration = Annotated[Duration, AfterValidator(_check_positive), _DURATION_SCHEMA]
_CRON_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4})\s*$"})
_STATUS_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"enum": ["RUNNING", "STOPPED"]},
            {"type": "string", "pattern": "^(?:[Rr][Uu][Nn][Nn][Ii][Nn][Gg]|[Ss][Tt][Oo][Pp][Pp][Ee][Dd])$"},
        ]
    }
)

Cron = Annotated[str, BeforeValidator(expand_cron), _CRON_SCHEMA]
Status = Annotated[Literal["RUNNING", "STOPPED"], BeforeValidator(_upper), _STATUS_SCHEMA]
Moment = Annotated[datetime, BeforeValidator(check_moment)]
Day = Annotated[date, BeforeValidator(check_moment)]
_TRIGGER_PATTERN: Final = r"cron|manual|after +[a-z]+"


def _check_trigger(value: str) -> str:
    words = " ".join(value.split())
    if re.fullmatch(_TRIGGER_PATTERN, words) is None:
        msg = f"{value!r} is not what starts a job; allowed: cron, manual, after JOB (such as after ingest)"
        raise ValueError(msg)
    return words


Trigger = Annotated[str, AfterValidator(_check_trigger), WithJsonSchema({"type": "string", "pattern": rf"^\s*({_TRIGGER_PATTERN})\s*$"})]
Names = Annotated[tuple[str, ...], BeforeValidator(_split), _NAMES_SCHEMA]

# What a name of a warehouse or a channel looks like, and what a model store may be beside it.
BLOCK_PATTERN: Final = "[a-z][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)?"
BUCKET_PATTERN: Final = "(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]{0,221}(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,5}/?"
STORE_PATTERN: Final = rf"{BLOCK_PATTERN}|local://\S.*|{BUCKET_PATTERN}"
MIN_CHANGE_PATTERN: Final = r"\s*\d+(\.\d+)?\s*%?\s*"
