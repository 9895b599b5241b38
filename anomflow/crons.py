"""The times of a cron, as Prefect reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cronsim import CronSim

if TYPE_CHECKING:
    from datetime import datetime

# The fields of days, of the month and of the week, with all their values.
_DAYS: Final = {2: "1-31", 4: "0-6"}


def open_cron(cron: str, after: datetime) -> CronSim:
    """Return the times of a cron of five fields after a moment, as an iterator; raises CronSimError for what is none.

    Prefect starts a run where the day of the month or the weekday fits, once both are set; CronSim wants both as soon as
    one of them begins with a star, as the first cron did.

    >>> from datetime import UTC, datetime
    >>> [moment.day for moment, _ in zip(open_cron("0 6 */15 * mon", datetime(2024, 1, 1, tzinfo=UTC)), range(4))]
    [1, 8, 15, 16]
    """
    return CronSim(" ".join(_spell_days(cron.split())), after)


def _spell_days(fields: list[str]) -> list[str]:
    """Write steps from a star as steps of a range where both fields of days are set."""
    if not all(len(fields) > position and fields[position] != "*" for position in _DAYS):
        return fields
    return [field.replace("*", _DAYS.get(position, "*")) for position, field in enumerate(fields)]
