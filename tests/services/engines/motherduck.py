"""MotherDuck's stand-in: DuckDB files, to which ``duckdb.connect`` leads an address of MotherDuck with the right token.

It proves what the block says to DuckDB, and the laws on DuckDB's transactions. What the extension and the service do, it cannot.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from blocks.warehouses.motherduck import MotherDuckWarehouse
from tests.conformance.engines import DUCKDB
from tests.services.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.conformance.engine import Rows

TOKEN: Final = "eyJhbGciOi.s3cret.token"
_ADDRESS: Final = re.compile(r"md:([\w-]+)\?dbinstance_inactivity_ttl=0s")
_OPEN_ELSEWHERE: Final = ("Could not set lock", "Unique file handle conflict")
_really_connect = duckdb.connect


def find_file(database: str) -> Path:
    """Return where the stand-in keeps a database."""
    return Path(os.environ["ANOMFLOW_TEST_MOTHERDUCK"]) / f"{database}.duckdb"


def connect(database: str = ":memory:", *rest: Any, **options: Any) -> duckdb.DuckDBPyConnection:
    """Connect as DuckDB does, or to the stand-in where the address is one of MotherDuck's."""
    match = _ADDRESS.fullmatch(str(database))
    if match is None:
        return _really_connect(database, *rest, **options)
    if options != {"config": {"motherduck_token": TOKEN}}:
        raise duckdb.InvalidInputException("Request failed: Your request is not authenticated. Please check your MotherDuck token.")
    return _open_file(find_file(match[1]))


def _open_file(file: Path, seconds: float = 120.0) -> duckdb.DuckDBPyConnection:
    # A service takes many processes at once, a file one: they come in one after another, and when an instance is closed.
    end = time.monotonic() + seconds
    while True:
        try:
            return _really_connect(str(file))
        except (duckdb.IOException, duckdb.BinderException) as error:
            if not any(sign in str(error) for sign in _OPEN_ELSEWHERE) or time.monotonic() > end:
                raise
        time.sleep(0.01)


duckdb.connect = connect


def run_raw(warehouse: MotherDuckWarehouse, statements: Sequence[str]) -> Rows:
    """Run statements on the file of a database."""
    with _open_file(find_file(warehouse.database)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for statement in statements:
            result = connection.execute(statement)
        return result.fetchall()


def build_warehouse(folder: Path, seconds: float = 20.0) -> MotherDuckWarehouse:
    """Make a warehouse in a database of its own for a folder."""
    database = f"shop-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    return MotherDuckWarehouse(database=database, token=TOKEN, lock_timeout_seconds=seconds)


@contextmanager
def _start(folder: Path) -> Iterator[Mapping[str, str]]:
    yield {"ANOMFLOW_TEST_MOTHERDUCK": str(folder)}


ENGINE = replace(
    DUCKDB,
    kind="motherduck",
    build=build_warehouse,
    run_raw=run_raw,
    find_environment=lambda warehouse: {"ANOMFLOW_MOTHERDUCK_DATABASE": warehouse.database, "ANOMFLOW_MOTHERDUCK_TOKEN": TOKEN},
)
SERVICE = Service(packages=(), start=_start)
