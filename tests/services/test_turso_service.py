"""What only a server of libSQL does: its types, tokens, a database that is taken away, a server that is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from anomflow.errors import Transient, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from anomflow.frames import OBSERVATIONS
from blocks.warehouses.turso import TursoWarehouse
from tests.conformance.rows import DAY, build_many, build_rows, fill, read_all, read_values
from tests.services.engines.turso import build_warehouse, start_server
from tests.services.service import find_free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services

PATIENCE = 5.0  # seconds for which the server leaves the database to a writer that others wait for


@pytest.fixture
def warehouse(tmp_path: Path) -> TursoWarehouse:
    return build_warehouse(tmp_path)


def read(warehouse: TursoWarehouse, sql: str) -> pl.DataFrame:
    with warehouse.reading() as session:
        return session.read(sql)


@pytest.mark.parametrize(
    ("sql", "dtype", "value"),
    [
        ("9007199254740993", pl.Int64, 9007199254740993),
        ("-9223372036854775807 - 1", pl.Int64, -(2**63)),
        ("0.1 + 0.2", pl.Float64, 0.1 + 0.2),
        ("1e999", pl.Float64, None),
        ("'ü'", pl.String, "ü"),
        ("x'00ff'", pl.Binary, b"\x00\xff"),
        ("null", pl.Int64, None),
    ],
)
def test_a_type_comes_as_what_it_is(warehouse: TursoWarehouse, sql: str, dtype: pl.DataType, value: object) -> None:
    (column,) = read(warehouse, f"select {sql} as x").get_columns()
    assert (column.dtype, column.to_list()) == (dtype, [value])


def test_what_is_larger_than_one_answer_is_read_whole(warehouse: TursoWarehouse) -> None:
    rows = build_many(50_000)
    fill(warehouse, rows)
    with warehouse.reading() as session:
        assert session.read_table(OBSERVATIONS, "metrics").equals(rows)
        assert session.read("select count(*) as n from metrics")["n"].to_list() == [rows.height]


@pytest.mark.parametrize("sql", ["with x as (select 1) delete from metrics", "/* select */ drop table metrics", "pragma user_version = 3"])
def test_a_session_for_reading_changes_nothing(warehouse: TursoWarehouse, sql: str) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.reading() as session:
        session.read("with x as (select 1 as a) select a from x")
        session.read("rollback")
        with pytest.raises(WarehouseError, match=r"is read-only|refused a statement"):
            session.read(sql)
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


@pytest.mark.parametrize("name", ["readfile", '"ReadFile"', "writefile"])
def test_sql_of_a_person_does_not_reach_the_files_of_the_server(warehouse: TursoWarehouse, name: str) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match="reads or writes files of the server"):  # noqa: PT012
        session.confine()
        session.read(f"select {name}('/etc/hostname')")


@pytest.mark.parametrize(
    ("variable", "words"),
    [("ANOMFLOW_TEST_TURSO_OLD", "expired.*turso db tokens create NAME"), (None, "set auth_token, or ANOMFLOW_TURSO_AUTH_TOKEN")],
)
def test_a_token_that_does_not_serve_says_what_to_do_and_is_not_told(warehouse: TursoWarehouse, variable: str | None, words: str) -> None:
    token = os.environ[variable] if variable else None
    wrong = TursoWarehouse(url=warehouse.url, auth_token=token)
    with pytest.raises(WarehouseError, match=f"refused the token: .*{words}") as caught:
        read(wrong, "select 1")
    assert not isinstance(caught.value, Transient)
    assert (token or "Bearer") not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_a_token_for_reading_reads_and_is_told_to_write_nothing(warehouse: TursoWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    reader = TursoWarehouse(url=warehouse.url, auth_token=os.environ["ANOMFLOW_TEST_TURSO_RO"])
    assert read_values(reader) == [(DAY, "m", 1.0)]
    with pytest.raises(WarehouseError, match="it may only read; take one that may write"):
        fill(reader, build_rows((DAY, "m", 2.0)))


def hold(folder: Path, environment: dict[str, str], connection: Any) -> None:
    os.environ.update(environment)
    with build_warehouse(folder).writing() as session:
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 9.0)))
        connection.send("held")
        signal.pause()


def test_a_killed_writer_blocks_others_for_seconds_and_leaves_nothing(warehouse: TursoWarehouse, tmp_path: Path) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    environment = {name: value for name, value in os.environ.items() if name.startswith("ANOMFLOW_TEST_")}
    child = context.Process(target=hold, args=(tmp_path, environment, there))
    child.start()
    assert here.poll(60)
    child.kill()
    child.join()
    assert read_values(warehouse) == [(DAY, "m", 1.0)]
    begin = time.monotonic()
    fill(warehouse, build_rows((DAY, "n", 2.0)))
    assert time.monotonic() - begin < 6 * PATIENCE
    assert read_values(warehouse) == [(DAY, "m", 1.0), (DAY, "n", 2.0)]


def test_a_writer_that_lost_the_database_to_another_writes_nothing_more(warehouse: TursoWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(WarehouseError, match="all of it was undone"), warehouse.writing() as slow:  # noqa: PT012 - a session is the case
        slow.execute("update metrics set metric_value = 8")
        fill(warehouse, build_rows((DAY, "n", 2.0)))
        with pytest.raises(WarehouseBusyError, match="another session wrote"):
            slow.execute("update metrics set metric_value = 9")
        with pytest.raises(WarehouseError, match="nothing more is done in it"):
            slow.execute("update metrics set metric_value = 10")
    assert read_values(warehouse) == [(DAY, "m", 1.0), (DAY, "n", 2.0)]


def test_a_server_that_goes_in_the_middle_is_transient_and_keeps_what_was_committed(tmp_path: Path) -> None:
    port = find_free_port()
    warehouse = TursoWarehouse(url=f"http://127.0.0.1:{port}")
    with start_server(tmp_path / "server", {}, port):
        fill(warehouse, build_rows((DAY, "m", 1.0)))
        before = warehouse.writing()
        session = before.__enter__()
        session.execute("update metrics set metric_value = 2")
    with pytest.raises(WarehouseUnavailableError, match="cannot be reached"):
        read_all(warehouse)
    with start_server(tmp_path / "server", {}, port):
        with pytest.raises(WarehouseUnavailableError, match="the connection was lost") as caught:
            session.execute("update metrics set metric_value = 3")
        assert not before.__exit__(type(caught.value), caught.value, None)
        assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_a_server_that_never_answers_is_left() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        warehouse = TursoWarehouse(url=f"http://127.0.0.1:{silent.getsockname()[1]}", statement_timeout_seconds=0.3)
        begin = time.monotonic()
        with pytest.raises(WarehouseError, match=r"longer than 0\.3 s.*statement_timeout_seconds") as caught:
            read(warehouse, "select 1")
        assert time.monotonic() - begin < 60
        assert not isinstance(caught.value, Transient)
