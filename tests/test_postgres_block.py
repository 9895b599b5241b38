"""What can be told of PostgreSQL without a server: its settings, and what its errors mean."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from anomflow.errors import SettingsError, Transient, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.loading import load_warehouse
from blocks.warehouses.postgres import PostgresWarehouse
from blocks.warehouses.postgres_errors import Failure, explain_failure, explain_refusal, read_failure
from blocks.warehouses.secrets import find_secrets, redact
from blocks.warehouses.server import Limits
from blocks.warehouses.sqlstates import find_error_class

ROOT = Path(__file__).parents[1]
PLACE = {"host": "db.example.org", "database": "shop", "user": "anomflow"}
SECRET = "it's \\ s%cret"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ANOMFLOW_POSTGRES_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "host, database, user is missing: give host, database and user, or uri"),
        ({"host": "h", "user": "u"}, "database is missing"),
        ({"uri": "postgresql://u@h/d", "host": "h"}, "either uri or host, not both"),
        ({"uri": "mysql://u:s%cret@h/d"}, "must be postgresql://"),
        *(({"uri": f"postgresql://u:{part}s%cret@h/d"}, "must be postgresql://") for part in ("@", "/", "?", "#", "1/", "1?", " ")),
        ({**PLACE, "port": 0}, "greater than or equal to 1"),
        ({**PLACE, "sslmode": "maybe"}, "'disable', 'allow'"),
        ({**PLACE, "options": {"password": "s%cret"}}, "'password' may not stand here"),
        ({**PLACE, "options": {"a b": "c"}}, "'a b' may not stand here"),
        ({**PLACE, "schema_name": ""}, "at least 1 character"),
        ({**PLACE, "connect_timeout_seconds": 1}, "greater than or equal to 2"),
    ],
)
def test_wrong_fields_are_refused_without_quoting_a_secret(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        PostgresWarehouse(**fields)
    assert "s%cret" not in str(caught.value)


def test_the_environment_names_a_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**PLACE, "port": "6432", "password": SECRET, "schema_name": "metrics"}.items():
        monkeypatch.setenv(f"ANOMFLOW_POSTGRES_{name.upper()}", value)
    warehouse = load_warehouse("postgres", tmp_path)
    assert warehouse.location == "postgres:db.example.org:6432/shop schema metrics"
    assert warehouse.password.get_secret_value() == SECRET  # type: ignore[attr-defined]


def test_wrong_variables_are_all_named_without_what_they_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**PLACE, "port": "s%cret", "lock_timeout_seconds": "s%cret"}.items():
        monkeypatch.setenv(f"ANOMFLOW_POSTGRES_{name.upper()}", value)
    with pytest.raises(SettingsError, match=r"(?s)ANOMFLOW_POSTGRES_LOCK_TIMEOUT_SECONDS: .*ANOMFLOW_POSTGRES_PORT: ") as caught:
        load_warehouse("postgres", tmp_path)
    assert "s%cret" not in str(caught.value)


def test_half_a_place_in_the_environment_is_an_error_and_no_other_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANOMFLOW_POSTGRES_HOST", "h")
    with pytest.raises(SettingsError, match=r"ANOMFLOW_POSTGRES_\*: database, user is missing"):
        load_warehouse("postgres", tmp_path)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        (PLACE, "postgres:db.example.org:5432/shop"),
        ({"uri": "postgresql://me:s%25cret@h:1,i:2/d?password=x"}, "postgres:h:1,i:2/d"),
        ({"uri": "postgres://h"}, "postgres:h"),
        ({"uri": "postgresql://a:b@[::1]:5433/d", "schema_name": "s"}, "postgres:[::1]:5433/d schema s"),
        ({"uri": "postgresql://%2Fvar%2Frun/d"}, "postgres:%2Fvar%2Frun/d"),
    ],
)
def test_the_place_is_told_without_a_secret(fields: dict[str, str], place: str) -> None:
    warehouse = PostgresWarehouse(**fields)
    assert warehouse.location == place
    assert "s%25cret" not in repr(warehouse)


def test_values_of_fields_cannot_add_parameters() -> None:
    address = PostgresWarehouse(**PLACE, password=SecretStr("x' host='evil"), options={"sslrootcert": "a b"})._build_address()
    assert "password='x\\' host=\\'evil'" in address
    assert "sslrootcert='a b'" in address
    assert "connect_timeout='10'" in address


def test_parameters_of_a_uri_win_over_defaults() -> None:
    address = PostgresWarehouse(uri=SecretStr("postgresql://u:p@h/d?connect_timeout=3&application_name=x"))._build_address()
    assert address.startswith("postgresql://u:p@h/d?connect_timeout=3&application_name=x&")
    assert address.count("connect_timeout") == 1


@pytest.mark.parametrize(
    ("sqlstate", "error_class"),
    [
        ("40001", WarehouseBusyError),
        ("40P01", WarehouseBusyError),
        ("55P03", WarehouseBusyError),
        ("08006", WarehouseUnavailableError),
        ("57P01", WarehouseUnavailableError),
        ("53300", WarehouseUnavailableError),
        ("53100", WarehouseError),
        ("57014", WarehouseError),
        ("42501", WarehouseError),
        ("23505", WarehouseError),
        (None, WarehouseError),
    ],
)
def test_only_what_may_pass_is_tried_again(sqlstate: str | None, error_class: type[WarehouseError]) -> None:
    assert find_error_class(sqlstate) is error_class


class DriverError(Exception):
    def __init__(self, words: str, sqlstate: str | None = None) -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


def fail(words: str, state: str | None = None, seconds: float = 1, *, is_lost: bool = False) -> Failure:
    return read_failure(DriverError(words, state), seconds, is_lost=is_lost)


@pytest.mark.parametrize(
    ("failure", "error_class", "words"),
    [
        (
            fail('INVALID: Failed to prepare query: ERROR:  no "x"\nLINE 1: x\n\nQuery was: x. SQLSTATE: 42601', "42601"),
            WarehouseError,
            'shop refused a statement: no "x"\nLINE 1: x',
        ),
        (fail("IO: server closed the connection", is_lost=True), WarehouseUnavailableError, "the connection was lost"),
        (fail("ERROR:  canceling", "57014", 5), WarehouseError, "longer than 5 s.*statement_timeout_seconds"),
        (fail("ERROR:  canceling", None, 5.1), WarehouseError, "longer than 5 s.*statement_timeout_seconds"),
        (fail("ERROR:  canceling", "55P03"), WarehouseBusyError, "longer than 2 s.*lock_timeout_seconds"),
        (fail("ERROR:  cannot execute", "25006"), WarehouseError, "read-only"),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(failure: Failure, error_class: type[WarehouseError], words: str) -> None:
    error = explain_failure(failure, "shop", Limits(5, 2))
    assert type(error) is error_class
    assert re.search(words, str(error))
    assert "Query was" not in str(error)


@pytest.mark.parametrize(
    ("words", "is_transient"),
    [
        ('connection to server at "h" failed: Connection refused', True),
        ('could not translate host name "h" to address', True),
        ('connection to server at "h" failed: FATAL:  the database system is starting up', True),
        ('connection to server at "h" failed: FATAL:  sorry, too many clients already', True),
        ('connection to server at "h" failed: FATAL:  password authentication failed for user "u"', False),
        ('connection to server at "h" failed: FATAL:  database "d" does not exist', False),
        ('invalid percent-encoded token: "s%cret"', False),
    ],
)
def test_a_connection_is_tried_again_where_the_server_may_come_back(words: str, is_transient: bool) -> None:
    error = explain_refusal(f"IO: [libpq] Failed to connect: {words}", "shop")
    assert isinstance(error, Transient) is is_transient
    assert "s%cret" not in str(error)


def test_secrets_are_found_in_a_uri_and_taken_out_of_words() -> None:
    uri = "postgresql://me:s%25cret@h:5432/d?sslpassword=other"
    said = f"cannot use {uri}, neither s%25cret nor s%cret nor other; h:5432 is fine"
    assert redact(said, find_secrets(uri)) == "cannot use ***, neither *** nor *** nor ***; h:5432 is fine"


def test_without_its_driver_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['adbc_driver_postgresql'] = None\n"
        "from blocks.warehouses.postgres import PostgresWarehouse\n"
        "with PostgresWarehouse(host='h', database='d', user='u').reading(): pass"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "pip install 'anomflow[postgres]'" in done.stderr


@pytest.mark.parametrize("fields", [PLACE, {"uri": "postgresql://u:p@h/d"}])
def test_a_block_that_was_saved_is_loaded_again(fields: dict[str, str]) -> None:
    warehouse = PostgresWarehouse(**fields)
    assert PostgresWarehouse(**warehouse.model_dump()).model_dump() == warehouse.model_dump()
