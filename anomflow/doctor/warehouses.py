"""Does a warehouse answer, may its tables be made, written and deleted from, does its clock agree?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import polars as pl

from anomflow.conform import conform_times
from anomflow.doctor.checks import REACH, Finding, join_advice
from anomflow.errors import Transient, WarehouseError
from anomflow.frames import OBSERVATIONS

if TYPE_CHECKING:
    from anomflow.doctor.checks import Check, Runner
    from anomflow.protocols import Clock, Warehouse

_MOMENT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_TOLERANCE: Final = 5.0  # seconds that clocks may differ without a word
_LOGIN: Final = "Correct database, user or password where they are set: the block, or its variables."
_GRANTS: Final = "Grant this user the right, or name another database or schema (db, table_key)."


def check_source(warehouse: Callable[[], Warehouse], runner: Runner) -> Iterator[Check]:
    """Look whether a database that rows come from answers."""
    yield runner.run("connect", lambda: _connect(warehouse()))


def check_warehouse(warehouse: Callable[[], Warehouse], place: str, clock: Clock, runner: Runner) -> Iterator[Check]:
    """Look at a warehouse: connection, clock, and the rights by a scratch table in ``place`` that is dropped whatever happens."""
    connected = runner.run("connect", lambda: _connect(warehouse()))
    yield connected
    if connected.state == "failed":
        return
    yield runner.run("clock", lambda: _compare_clocks(warehouse(), clock))
    name = f"anomflow_doctor_{uuid4().hex[:12]}"
    scratch = _Scratch(warehouse, f"{place}.{name}" if place else name)
    created = runner.run("create table", scratch.create)
    yield created
    if created.state == "ok":
        yield runner.run("upsert", scratch.upsert)
        yield runner.run("delete", scratch.delete)
    # A table whose making ended late or unclear may be there as well.
    dropped = runner.run("drop table", scratch.drop)
    if created.state == "ok" or dropped.state == "ok":
        yield dropped


def _connect(warehouse: Warehouse) -> str:
    try:
        with warehouse.reading() as session:
            session.read("select 1 as one")
    except WarehouseError as error:
        if getattr(warehouse, "file", None) is not None:
            raise  # what is wrong with a file says what to do
        raise WarehouseError(join_advice(error, REACH if isinstance(error, Transient) else _LOGIN)) from error
    return warehouse.location


def _compare_clocks(warehouse: Warehouse, clock: Clock) -> Finding:
    with warehouse.reading() as session:
        before = clock.now()
        found = session.read("select current_timestamp as moment")
        after = clock.now()
    theirs = conform_times(found, also=["moment"])["moment"][0]
    if not isinstance(theirs, datetime):
        return Finding("the time of the database cannot be read", "warning")
    ahead = (theirs - (before + (after - before) / 2)).total_seconds()
    words = f"the database's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if abs(ahead) <= _TOLERANCE + (after - before).total_seconds() / 2:
        return Finding(words)
    return Finding(f"{words}; rows may seem late or of the future. Let both follow a time server (NTP).", "warning")


@dataclass(frozen=True)
class _Scratch:
    """A table of our own kind that exists for a few checks, each in a transaction of its own."""

    warehouse: Callable[[], Warehouse]
    name: str

    def create(self) -> str:
        with _advising(), self.warehouse().writing() as session:
            session.ensure_table(OBSERVATIONS, self.name)
        return "may make tables"

    def upsert(self) -> str:
        with _advising(), self.warehouse().writing() as session:
            session.upsert(OBSERVATIONS, self.name, _build_rows(1.0, 2.0))
            session.upsert(OBSERVATIONS, self.name, _build_rows(3.0))
        values = self._read()
        if values != [2.0, 3.0]:
            raise WarehouseError(f"three rows of two keys were written, and {values} read back instead of [2.0, 3.0]. {_GRANTS}")
        return "may write and replace rows, and reads them back"

    def delete(self) -> str:
        with _advising(), self.warehouse().writing() as session:
            session.delete_keys(OBSERVATIONS, self.name, _build_rows(3.0))
        values = self._read()
        if values != [2.0]:
            raise WarehouseError(f"one row of two was deleted, and {values} read back instead of [2.0]. {_GRANTS}")
        return "may delete rows"

    def drop(self) -> str:
        try:
            with self.warehouse().writing() as session:
                session.execute(f"drop table {session.identifier(self.name)}")
        except WarehouseError as error:
            raise WarehouseError(f"the scratch table {self.name} was not dropped ({error}); drop it by hand") from error
        return "the scratch table is gone"

    def _read(self) -> list[float]:
        with self.warehouse().reading() as session:
            return sorted(session.read_table(OBSERVATIONS, self.name)["metric_value"].to_list())


def _build_rows(*values: float) -> pl.DataFrame:
    """Build a row a value, an hour apart."""
    rows = {
        "metric_timestamp": [_MOMENT.replace(hour=hour) for hour in range(len(values))],
        "metric_batch": ["anomflow-doctor"] * len(values),
        "metric_name": ["scratch"] * len(values),
        "metric_type": ["metric"] * len(values),
        "metric_value": list(values),
        "metadata": [""] * len(values),
    }
    return pl.DataFrame(rows, schema=OBSERVATIONS.columns)


@contextmanager
def _advising() -> Iterator[None]:
    """Say what to do about a refusal; one that passes by itself says so already."""
    try:
        yield
    except WarehouseError as error:
        if isinstance(error, Transient):
            raise
        raise WarehouseError(join_advice(error, _GRANTS)) from error
