"""How the conformance suite gets a warehouse of each engine, and what only its own tools can prepare."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from blocks.warehouses.duckdb import DuckDBWarehouse
from blocks.warehouses.sqlite import SQLiteWarehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from blocks.warehouses.files import FileWarehouse


@dataclass(frozen=True)
class Engine:
    """An engine under test.

    ``build`` makes a warehouse in a folder; ``run_raw`` runs statements on its file without our code; ``holder`` is a Python
    program that locks the file of its first argument, prints a line and waits for its input to end; ``foreign`` are the
    statements of tables as other hands make them, each with two rows of 2026-01-01 and one of 2026-01-02;
    ``reads_in_read_only_folder`` is what it says.
    """

    kind: str
    build: Callable[[Path, float], FileWarehouse]
    run_raw: Callable[[Path, Sequence[str]], list[tuple[object, ...]]]
    holder: str
    foreign: dict[str, tuple[str, ...]]
    reads_in_read_only_folder: bool = True


def _run_duckdb(path: Path, statements: Sequence[str]) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for statement in statements:
            result = connection.execute(statement)
        return result.fetchall()


def _run_sqlite(path: Path, statements: Sequence[str]) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            result = connection.execute(statement)
        return result.fetchall()


def _build_foreign(time_type: str, first: str, again: str, second: str, *, metadata: bool = True) -> tuple[str, ...]:
    column, value = (", metadata varchar", ", ''") if metadata else ("", "")
    rows = ", ".join(f"({time}, 'b', 'm', 'metric', {number}{value})" for time, number in ((first, "1.0"), (again, "2.0"), (second, "3.0")))
    return (
        (
            "create table metrics (metric_timestamp "
            f"{time_type}, metric_batch varchar, metric_name varchar, metric_type varchar, metric_value double{column})"
        ),
        f"insert into metrics values {rows}",
    )


def _build_text(first: str, again: str, second: str) -> tuple[str, ...]:
    return _build_foreign("timestamp", f"'{first}'", f"'{again}'", f"'{second}'")


_DAYS = ("'2026-01-01 00:00:00'", "'2026-01-01 00:00:00'", "'2026-01-02 00:00:00'")

DUCKDB = Engine(
    kind="duckdb",
    build=lambda folder, seconds: DuckDBWarehouse(path=str(folder / "a b?#%.duckdb"), lock_timeout_seconds=seconds),
    run_raw=_run_duckdb,
    holder="import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()",
    foreign={
        "naive": _build_foreign("timestamp", *_DAYS),
        "zoned": _build_foreign("timestamptz", *(f"{day[:-1]}+00'" for day in _DAYS)),
        "nanoseconds": _build_foreign("timestamp_ns", *_DAYS),
        "without metadata": _build_foreign("timestamp", *_DAYS, metadata=False),
    },
)

SQLITE = Engine(
    kind="sqlite",
    build=lambda folder, seconds: SQLiteWarehouse(path=str(folder / "a b?#%.sqlite"), lock_timeout_seconds=seconds),
    run_raw=_run_sqlite,
    holder=(
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin immediate'); "
        "print('held', flush=True); sys.stdin.read()"
    ),
    foreign={
        "seconds": _build_text("2026-01-01 00:00:00", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
        "iso": _build_text("2026-01-01T00:00:00.000000", "2026-01-01T00:00:00", "2026-01-02T00:00:00.000000"),
        "zoned": _build_text("2026-01-01 00:00:00+00:00", "2026-01-01T01:00:00.000000+01:00", "2026-01-01 19:00:00-05:00"),
        "nanoseconds": _build_text("2026-01-01 00:00:00.000000000", "2026-01-01T00:00:00.000Z", "2026-01-02"),
        "without metadata": _build_foreign("text", *_DAYS, metadata=False),
    },
    reads_in_read_only_folder=False,
)

ENGINES = {engine.kind: engine for engine in (DUCKDB, SQLITE)}
