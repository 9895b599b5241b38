"""What can be told of MotherDuck without it: the address, the token, the turns of writers on DuckDB, what errors mean."""

from __future__ import annotations

import os
import re
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb
import pytest
from pydantic import SecretStr, ValidationError

from anomflow.errors import SettingsError, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from anomflow.frames import OBSERVATIONS
from blocks.loading import load_warehouse
from blocks.warehouses.block import commit_whole
from blocks.warehouses.motherduck import MotherDuckWarehouse
from blocks.warehouses.motherduck_session import TURNS, MotherDuckSession, Place, explain_refusal
from tests.conformance.rows import DAY, build_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "eyJhbGciOi.s3cret.token"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if "MOTHERDUCK" in name.upper():
            monkeypatch.delenv(name)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give DuckDB a home without extensions, and a proxy where nobody listens as the only way to them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return tmp_path


def build_place(statement_seconds: float = 60.0, lock_seconds: float = 60.0) -> Place:
    return Place("motherduck:shop", SecretStr(SECRET), statement_seconds, lock_seconds)


@contextmanager
def writing(file: Path, place: Place) -> Iterator[MotherDuckSession]:
    """Open a session for writing on a DuckDB file, which stands for the database."""
    with duckdb.connect(str(file)) as connection:
        session = MotherDuckSession(connection, place, writable=True)
        session.begin()
        yield session
        session.rollback()


@pytest.mark.parametrize(
    "database",
    [
        "",
        "md:shop",
        "shop?motherduck_token=s3cret",
        "shop&saas_mode=false",
        "a/b",
        "_share/x",
        "shop;--",
        'a"b',
        "a b",
        "ü",
        "a\n",
        "%3F",
        "x" * 256,
    ],
)
def test_a_name_that_could_be_more_than_a_name_is_refused(database: str) -> None:
    with pytest.raises(ValidationError, match="database") as caught:
        MotherDuckWarehouse(database=database, token=SECRET)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"Bearer {SECRET}", ""])
def test_what_is_no_token_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(ValidationError, match="is no token") as caught:
        MotherDuckWarehouse(database="shop", token=token)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("variable", ["ANOMFLOW_MOTHERDUCK_TOKEN", "motherduck_token", "MOTHERDUCK_TOKEN"])
def test_the_environment_names_a_database_and_its_token(variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    monkeypatch.setenv("HOME", str(home / "nowhere"))
    monkeypatch.setenv("ANOMFLOW_MOTHERDUCK_DATABASE", "shop-1")
    monkeypatch.setenv(variable, SECRET)
    warehouse = load_warehouse("motherduck", tmp_path)
    assert warehouse.location == "motherduck:shop-1"
    assert SECRET not in repr(warehouse)
    with pytest.raises(WarehouseError, match="extension motherduck is not installed"), warehouse.reading():
        pass  # so a token was found


def test_without_a_token_nobody_is_asked_to_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANOMFLOW_MOTHERDUCK_DATABASE", "shop")
    monkeypatch.setenv("motherduck_token", " ")
    with (
        pytest.raises(
            WarehouseError, match=r"^motherduck:shop: there is no token; set token, ANOMFLOW_MOTHERDUCK_TOKEN or motherduck_token"
        ),
        load_warehouse("motherduck", tmp_path).reading(),
    ):
        pass


def test_a_wrong_variable_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANOMFLOW_MOTHERDUCK_DATABASE", f"md:shop?motherduck_token={SECRET}")
    with pytest.raises(SettingsError, match="ANOMFLOW_MOTHERDUCK_DATABASE") as caught:
        load_warehouse("motherduck", tmp_path)
    assert "s3cret" not in str(caught.value)


def test_an_extension_that_cannot_be_had_is_told_with_what_to_do(home: Path) -> None:
    warehouse = MotherDuckWarehouse(database="shop", token=SECRET)
    with pytest.raises(WarehouseError, match=r'could not be had; .*duckdb\.sql\("install motherduck"\)') as caught, warehouse.writing():
        pass
    assert type(caught.value) is WarehouseError
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_service_that_says_nothing_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
        warehouse = MotherDuckWarehouse(database="shop", token=SECRET, connect_timeout_seconds=0.1)
        with pytest.raises(WarehouseUnavailableError, match=r"no connection after 0\.1 s"), warehouse.reading():
            pass


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("TransactionContext Error: Conflict on update!", WarehouseBusyError, "another session wrote"),
        ("TransactionContext Error: Failed to commit: a write-write conflict on key", WarehouseBusyError, "another session wrote"),
        ('TransactionContext Error: Catalog write-write conflict on create with "x"', WarehouseBusyError, "another session wrote"),
        ("Invalid Error: RPC failed: UNAVAILABLE", WarehouseUnavailableError, "connection was lost"),
        ("IO Error: connection reset by peer", WarehouseUnavailableError, "connection was lost"),
        (
            "Invalid Error: Request failed: Your request is not authenticated. Jwt expired",
            WarehouseError,
            "refused the token; make a new one",
        ),
        ('IO Error: Extension "/x/motherduck.duckdb_extension" not found.', WarehouseError, "could not be had"),
        ("Parser Error: syntax error at \"Jwt\" LINE 1: selec 'timed out'", WarehouseError, "refused a statement"),
        ("TransactionContext Error: Current transaction is aborted", WarehouseError, "refused a statement"),
        (f"Invalid Input Error: md:shop?motherduck_token={SECRET}", WarehouseError, r"motherduck_token=\*\*\*"),
    ],
)
def test_only_what_may_pass_is_tried_again(said: str, kind: type[Exception], words: str) -> None:
    found = explain_refusal(duckdb.Error(said), build_place())
    assert type(found) is kind
    assert re.search(f"^motherduck:shop.*{words}", str(found))
    assert "s3cret" not in str(found)


def test_a_second_writer_waits_for_its_turn_and_sees_what_the_first_wrote(tmp_path: Path) -> None:
    seen: list[list[object]] = []

    def write_second() -> None:
        with writing(tmp_path / "x", build_place()) as session:
            seen.append(session.read_table(OBSERVATIONS, "metrics")["metric_value"].to_list())

    second = threading.Thread(target=write_second)
    with writing(tmp_path / "x", build_place()) as first:
        second.start()
        first.ensure_table(OBSERVATIONS, "metrics")
        first.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 1.0)))
        commit_whole(first)
    second.join()
    assert seen == [[1.0]]


def test_a_writer_that_never_gets_its_turn_is_busy_and_readers_wait_for_nobody(tmp_path: Path) -> None:
    impatient = build_place(lock_seconds=0.1)
    with writing(tmp_path / "x", impatient) as first:
        first.ensure_table(OBSERVATIONS, "metrics")
        with (
            pytest.raises(WarehouseBusyError, match=r"still writing after 0\.1 s; .*lock_timeout_seconds"),
            writing(tmp_path / "x", impatient),
        ):
            pass
        with duckdb.connect(str(tmp_path / "x")) as connection:
            reader = MotherDuckSession(connection, impatient, writable=False)
            reader.begin()
            assert reader.read("select 1 as x")["x"].to_list() == [1]


def test_turns_that_somebody_emptied_let_nobody_write(tmp_path: Path) -> None:
    with writing(tmp_path / "x", build_place()) as session:
        session.execute(f"delete from {TURNS}")
        commit_whole(session)
    with pytest.raises(WarehouseError, match=f"the table {TURNS}, .*is empty; drop it"), writing(tmp_path / "x", build_place()):
        pass


def test_a_statement_ends_after_its_time(tmp_path: Path) -> None:
    long = "select count(*) from range(10000000000) as a(x), range(1000) as b(y) where hash(x + y) = 3"
    with writing(tmp_path / "x", build_place(statement_seconds=0.2)) as session:
        with pytest.raises(WarehouseError, match=r"longer than 0\.2 s .*statement_timeout_seconds") as caught:
            session.read(long)
        assert type(caught.value) is WarehouseError


def test_a_query_may_name_another_database(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "other")) as other:
        other.execute("create table sales as select 7 as n")
    with writing(tmp_path / "x", build_place()) as session:
        session.connection.execute(f"attach {session.literal(str(tmp_path / 'other'))} as other")
        assert session.read("select n from other.main.sales")["n"].to_list() == [7]
