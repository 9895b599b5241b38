"""What the conformance suite must know of an engine, and how it gets a warehouse of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Rows = list[tuple[object, ...]]
DAYS = ("'2026-01-01 00:00:00'", "'2026-01-01 00:00:00'", "'2026-01-02 00:00:00'")


@dataclass(frozen=True)
class Engine:
    """An engine under test.

    ``build`` makes a warehouse that keeps what it has in a folder, or apart by the folder's name; the second argument is its
    ``lock_timeout_seconds``. ``run_raw`` runs statements on it without our code and returns the rows of the last. ``foreign``
    are the statements of tables as other hands make them, each with two rows of 2026-01-01 and one of 2026-01-02.
    ``find_schema`` tells where tables lie, ``find_environment`` the variables that name the warehouse. ``cannot`` are tests that
    the engine fails, by name (with parameters where only these fail), with the reason: these must fail.
    """

    kind: str
    build: Callable[[Path, float], Any]
    run_raw: Callable[[Any, Sequence[str]], Rows]
    foreign: Mapping[str, tuple[str, ...]]
    find_schema: Callable[[Any], str]
    time_type: str
    find_environment: Callable[[Any], Mapping[str, str]] = lambda _: {}
    cannot: Mapping[str, str] = field(default_factory=dict)


def build_foreign(
    time_type: str, first: str, again: str, second: str, *, metadata: bool = True, value_type: str = "double precision"
) -> tuple[str, ...]:
    """Make the table `metrics` as other hands make it, without a key: the values 1, 2 and 3 at three times."""
    column, value = (", metadata varchar", ", ''") if metadata else ("", "")
    rows = ", ".join(f"({time}, 'b', 'm', 'metric', {number}{value})" for time, number in ((first, "1.0"), (again, "2.0"), (second, "3.0")))
    return (
        (
            "create table metrics (metric_timestamp "
            f"{time_type}, metric_batch varchar, metric_name varchar, metric_type varchar, metric_value {value_type}{column})"
        ),
        f"insert into metrics values {rows}",
    )


def build_texts() -> dict[str, tuple[str, ...]]:
    """Make that table where times are text, in each form of ISO 8601 that is met, by its name."""
    forms = {
        "seconds": ("2026-01-01 00:00:00", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
        "iso": ("2026-01-01T00:00:00.000000", "2026-01-01T00:00:00", "2026-01-02T00:00:00.000000"),
        "zoned": ("2026-01-01 00:00:00+00:00", "2026-01-01T01:00:00.000000+01:00", "2026-01-01 19:00:00-05:00"),
        "nanoseconds": ("2026-01-01 00:00:00.000000000", "2026-01-01T00:00:00.000Z", "2026-01-02"),
    }
    return {name: build_foreign("timestamp", *(f"'{time}'" for time in times)) for name, times in forms.items()}
