"""The engines that the conformance suite runs on: those that need nothing, or the service that is started for it."""

from __future__ import annotations

import importlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from blocks.warehouses.duckdb import DuckDBWarehouse
from blocks.warehouses.sqlite import SQLiteWarehouse
from tests.conformance.engine import DAYS, Engine, Rows, build_foreign, build_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _run_duckdb(warehouse: Any, statements: Sequence[str]) -> Rows:
    with duckdb.connect(str(warehouse.file)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for statement in statements:
            result = connection.execute(statement)
        return result.fetchall()


def _run_sqlite(warehouse: Any, statements: Sequence[str]) -> Rows:
    with closing(sqlite3.connect(warehouse.file)) as connection, connection:
        for statement in statements:
            result = connection.execute(statement)
        return result.fetchall()


DUCKDB = Engine(
    kind="duckdb",
    find_schema=lambda _: "main",
    time_type="timestamptz",
    build=lambda folder, seconds: DuckDBWarehouse(path=str(folder / "a b?#%.duckdb"), lock_timeout_seconds=seconds),
    run_raw=_run_duckdb,
    foreign={
        "naive": build_foreign("timestamp", *DAYS),
        "zoned": build_foreign("timestamptz", *(f"{day[:-1]}+00'" for day in DAYS)),
        "nanoseconds": build_foreign("timestamp_ns", *DAYS),
        "without metadata": build_foreign("timestamp", *DAYS, metadata=False),
    },
)

SQLITE = Engine(
    kind="sqlite",
    find_schema=lambda _: "main",
    time_type="text",
    build=lambda folder, seconds: SQLiteWarehouse(path=str(folder / "a b?#%.sqlite"), lock_timeout_seconds=seconds),
    run_raw=_run_sqlite,
    foreign={
        **build_texts(),
        "without metadata": build_foreign("text", *DAYS, metadata=False),
    },
)

EMBEDDED = {engine.kind: engine for engine in (DUCKDB, SQLITE)}
# Each file there is an engine behind a service, named by its kind; `make test-services` starts one and names it here.
SERVICES = tuple(sorted(path.stem for path in (Path(__file__).parents[1] / "services" / "engines").glob("*.py")))
SERVICE = os.environ.get("ANOMFLOW_TEST_SERVICE", "")


def find_engines() -> Mapping[str, Engine]:
    """Return the engines to test by their kind."""
    return {SERVICE: importlib.import_module(f"tests.services.engines.{SERVICE}").ENGINE} if SERVICE else EMBEDDED


ENGINES = find_engines()
