"""Cron schedules that are none, never fire, or do not mean what they say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cronsim import CronSimError

from anomflow.crons import open_cron

if TYPE_CHECKING:
    from collections.abc import Iterator

# The fields whose steps start anew at each turn: what they count, their first value, how many values they have. Days of a
# month are left out: no step divides every month.
_TURNS: Final = {0: ("minutes", 0, 60), 1: ("hours", 0, 24), 3: ("months", 1, 12), 4: ("weekdays", 0, 7)}
_STEP: Final = re.compile(r"(?:\*|0|0-59|0-23)/(\d+)")
# What CronSim reads and Prefect does not, or not like this: in which field, the words about it.
_STRANGE: Final = (
    (2, re.compile(r"\bLW\b", re.IGNORECASE), "is a day that Prefect does not know; write L for the last one"),
    (4, re.compile(r"\w+L\b", re.IGNORECASE), "is a weekday that Prefect does not know; write for example 5#1 for the first Friday"),
    *((position, re.compile(r"\b(\w+)-\1\b", re.IGNORECASE), "is everything to Prefect; write the value once") for position in range(5)),
)
_EXAMPLE: Final = "write for example */10 * * * *"
# Any date will do: whether a schedule ever fires does not depend on the year.
_SOME_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


def find_schedule_error(schedule: str) -> str | None:
    """Say why a text is no schedule of five fields that fires now and then; None where it is one."""
    fields = schedule.split()
    if len(fields) != 5:  # noqa: PLR2004 - with six, libraries disagree whether seconds come first or last
        names = "@hourly, @daily, @weekly, @monthly or @yearly"
        return f"which is not a cron schedule: it has {len(fields)} fields, not 5; {_EXAMPLE}, or {names}"
    try:
        fires = all(next(open_cron(text, _SOME_DAY), None) is not None for text in (schedule, " ".join([*fields[:4], "*"])))
    except CronSimError as error:
        if not _has_good_day(fields):
            return f"which is not a cron schedule: {error}; {_EXAMPLE}"
        fires = False
    never = "which never fires: none of its months has such a day; to switch a job off, set disable_<job>: true"
    return _find_strange(fields) if fires else never


def _find_strange(fields: list[str]) -> str | None:
    """Say what Prefect would refuse, or read as something else; None where it reads the same."""
    for position, pattern, words in _STRANGE:
        if found := pattern.search(fields[position]):
            return f"in which {found[0]} {words}"
    day, weekday = fields[2], fields[4]
    if "#" in weekday and day != "*":
        return f"which has day of the month {day} beside weekday {weekday}, and with that Prefect starts nothing; leave the day *"
    return None


def _has_good_day(fields: list[str]) -> bool:
    """Tell whether the fields are right when the month is left open, so that only the two together never come."""
    try:
        open_cron(" ".join([*fields[:3], "*", fields[4]]), _SOME_DAY)
        open_cron(" ".join([*fields[:2], "*", *fields[3:]]), _SOME_DAY)
    except CronSimError:
        return False
    return True


def find_schedule_oddities(schedule: str) -> Iterator[str]:
    """Say what a schedule really does where that is hardly what its writer meant; ``schedule`` has five fields."""
    fields = schedule.split()
    for position, (unit, first, size) in _TURNS.items():
        step = _STEP.fullmatch(fields[position])
        if step and int(step[1]) and size % int(step[1]):
            last = first + size - 1
            yield f"{unit} run from {first} to {last}, so that {fields[position]} {_describe_step(int(step[1]), first, size)}"
    if fields[0] == "*" and fields[1].isdigit():
        yield f"it fires in each of the 60 minutes after {fields[1]}:00; write 0 {fields[1]} for once"
    day, weekday = fields[2], fields[4]
    if "*" not in (day, weekday):
        yield f"day of the month {day} and weekday {weekday} are both set, and it fires when either fits; leave one of them *"


def _describe_step(step: int, first: int, size: int) -> str:
    if step > size:
        return f"fires at {first} only, not every {step}; write the steps of the next field instead"
    return f"leaves a gap of {size - (size - 1) // step * step} at its end; use a divisor of {size} for equal steps"
