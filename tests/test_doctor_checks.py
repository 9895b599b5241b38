"""Looks at warehouses and stores that let Anomflow do only part of what it must, and at clocks and versions that differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anomflow.doctor import Runner, check_store, check_warehouse
from anomflow.errors import ModelError, WarehouseError, WarehouseUnavailableError
from anomflow.protocols import SystemClock
from blocks.prefect_check import compare_versions
from blocks.stores.local import LocalModelStore
from blocks.warehouses.sqlite import SQLiteSession, SQLiteWarehouse

if TYPE_CHECKING:
    from anomflow.doctor import Check
    from anomflow.protocols import Session
    from blocks.warehouses.relational import RelationalSession


class Ahead:
    """A clock that is ten minutes behind the database's."""

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(minutes=10)


class Guarded(SQLiteSession):
    """A session of a user who was granted all statements but one."""

    refused = ""

    def _change(self, sql: str) -> int:
        if self.refused and sql.startswith(self.refused):
            raise WarehouseError(f"{self.location} refused a statement: permission denied for {self.refused}")
        return super()._change(sql)


class GuardedWarehouse(SQLiteWarehouse):
    """A database whose user was granted all statements but one."""

    _block_type_slug = "test-guarded-warehouse"
    refused: str = ""

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        with super()._open(writable=writable) as session:
            assert isinstance(session, SQLiteSession)
            guarded = Guarded(session.connection, self, writable=writable)
            guarded.refused = self.refused
            yield guarded


def look(warehouse: SQLiteWarehouse, place: str = "") -> dict[str, Check]:
    return {check.name: check for check in check_warehouse(lambda: warehouse, place, SystemClock(), Runner("db", 10))}


@pytest.mark.parametrize(
    ("refused", "states"),
    [
        ("create table", ["ok", "ok", "failed"]),
        ("insert into", ["ok", "ok", "ok", "failed", "failed", "ok"]),
        ("delete from", ["ok", "ok", "ok", "failed", "failed", "ok"]),
        ("drop table", ["ok", "ok", "ok", "ok", "ok", "failed"]),
    ],
)
def test_a_right_that_is_missing_is_named_and_the_scratch_table_is_dropped(tmp_path: Path, refused: str, states: list[str]) -> None:
    warehouse = GuardedWarehouse(path=str(tmp_path / "w.sqlite"), refused=refused)
    found = look(warehouse)
    assert [check.state for check in found.values()] == states
    failed = next(check for check in found.values() if check.state == "failed")
    assert "permission denied" in failed.detail
    with SQLiteWarehouse(path=str(tmp_path / "w.sqlite")).reading() as session:
        left = session.read("select name from sqlite_master where type = 'table'")["name"].to_list()
    assert [name in failed.detail for name in left] == [True] * (refused == "drop table")


@dataclass(frozen=True)
class Distant:
    """A database behind a server that lets nobody in."""

    error: WarehouseError
    dialect: str = "postgres"
    location: str = "db:5432"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        raise self.error
        yield

    writing = reading


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WarehouseUnavailableError("db:5432 cannot be reached: refused. Is it running?"), "running? See whether it is up"),
        (WarehouseError('db:5432 refused the connection: no password for user "me"'), '"me". Correct database, user or password'),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_with_what_to_do(error: WarehouseError, told: str) -> None:
    (found,) = check_warehouse(lambda: Distant(error), "", SystemClock(), Runner("db", 10))
    assert (found.name, found.state) == ("connect", "failed")
    assert told in found.detail


def test_clocks_that_differ_are_a_warning(tmp_path: Path) -> None:
    warehouse = SQLiteWarehouse(path=str(tmp_path / "w.sqlite"))
    found = {check.name: check for check in check_warehouse(lambda: warehouse, "", Ahead(), Runner("db", 10))}
    assert found["clock"].state == "warning"
    assert "ahead of this machine's" in found["clock"].detail
    assert found["delete"].state == "ok"


def test_a_secret_of_the_environment_is_hidden_in_what_a_driver_says() -> None:
    def refuse() -> str:
        raise OSError("password s3cret-Pa55 was refused")

    assert (
        Runner("db", 5, environ={"DB_PASSWORD": "s3cret-Pa55"}).run("connect", refuse).detail
        == "OSError: password <DB_PASSWORD> was refused"
    )


@dataclass(frozen=True)
class WriteOnlyStore:
    """A store whose objects may be neither listed nor deleted."""

    inner: LocalModelStore

    @property
    def location(self) -> str:
        return self.inner.location

    def write(self, name: str, content: bytes) -> None:
        self.inner.write(name, content)

    def read(self, name: str) -> bytes:
        return self.inner.read(name)

    def names(self, folder: str = "") -> list[str]:
        raise ModelError(f"objects cannot be listed {folder}")

    def delete(self, name: str) -> None:
        raise ModelError(f"object {name} cannot be deleted")


def test_a_store_that_cannot_delete_is_a_warning_and_keeps_one_object_at_most(tmp_path: Path) -> None:
    store = WriteOnlyStore(LocalModelStore(folder=str(tmp_path / "models")))
    for _ in range(2):
        found = {check.name: check.state for check in check_store(lambda: store, Runner("store", 10))}
    assert found == {"connect": "ok", "publish": "ok", "read": "ok", "list": "warning", "delete": "warning"}
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["anomflow-doctor"]


def test_of_a_store_that_cannot_be_written_no_right_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    found = {check.name: check.state for check in check_store(lambda: LocalModelStore(folder=str(tmp_path / "models")), Runner("s", 10))}
    assert found == {"connect": "ok", "publish": "failed", "list": "ok"}


@pytest.mark.parametrize(("theirs", "state"), [("3.8.8", "ok"), ("3.8.20", "ok"), ("3.7.1", "warning"), ("4.0.0", "warning")])
def test_versions_are_compared_by_their_first_two_numbers(theirs: str, state: str) -> None:
    assert compare_versions(theirs, "3.8.9").state == state
