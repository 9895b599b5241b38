"""What can be told of Redshift without a server: its settings, its texts of SQL, what its errors mean, what it would refuse."""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from anomflow.errors import MissingDependencyError, SettingsError, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.loading import load_warehouse
from blocks.warehouses.redshift import RedshiftWarehouse
from blocks.warehouses.redshift_errors import explain, explain_refusal, find_words, read_failure
from blocks.warehouses.redshift_login import build_parameters
from blocks.warehouses.redshift_values import read_rows, render_rows
from blocks.warehouses.server import Limits
from tests.conformance.rows import DAY, build_rows
from tests.services.programs.redshift_dialect import find_refused, to_postgres

ROOT = Path(__file__).parents[1]
SECRET = "it's \\ s%cret"
PLACE = {"host": "shop.abc.eu-west-1.redshift.amazonaws.com", "database": "shop", "user": "anomflow", "password": SECRET}
CLUSTER = {"database": "shop", "cluster_identifier": "shop"}
LIMITS = Limits(statement_seconds=600, lock_seconds=60)
GOLDEN = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests" / "golden" / "redshift").glob("*.sql"))}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ANOMFLOW_REDSHIFT_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"database": "shop"}, "give host, user and password, or for a login by IAM either cluster_identifier or workgroup"),
        ({**CLUSTER, "workgroup": "w"}, "either cluster_identifier or workgroup"),
        ({**PLACE, "cluster_identifier": "shop", "region": "r"}, "either password or cluster_identifier, region, not both"),
        ({**PLACE, "host": None}, "host is missing: a login by password"),
        ({"database": "shop", "workgroup": "w", "user": "u"}, "leave user out"),
        ({**CLUSTER, "sslmode": "disable"}, "a login by IAM is encrypted"),
        ({**CLUSTER, "credentials": "gcp-credentials/x"}, "should match pattern"),
        ({**PLACE, "sslmode": "prefer"}, "'disable', 'verify-ca' or 'verify-full'"),
    ],
)
def test_wrong_fields_are_refused_without_quoting_a_secret(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        RedshiftWarehouse(**fields)
    assert "s%cret" not in str(caught.value)


def test_the_environment_names_a_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**PLACE, "port": "5440", "schema_name": "anomflow"}.items():
        monkeypatch.setenv(f"ANOMFLOW_REDSHIFT_{name.upper()}", value)
    warehouse = load_warehouse("redshift", tmp_path)
    assert warehouse.location == "redshift:shop.abc.eu-west-1.redshift.amazonaws.com:5440/shop schema anomflow"
    assert "s%cret" not in repr(warehouse)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANOMFLOW_REDSHIFT_HOST", "h")
    monkeypatch.setenv("ANOMFLOW_REDSHIFT_PORT", "many")
    with pytest.raises(SettingsError, match=r"(?s)ANOMFLOW_REDSHIFT_PORT: .*ANOMFLOW_REDSHIFT_DATABASE: "):
        load_warehouse("redshift", tmp_path)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (PLACE, {"user": "anomflow", "password": SECRET, "port": 5439, "ssl": True, "sslmode": "verify-full"}),
        ({**PLACE, "sslmode": "disable"}, {"ssl": False}),
        (CLUSTER, {"iam": True, "cluster_identifier": "shop", "group_federation": True, "region": "of the keys", "access_key_id": "k"}),
        ({**CLUSTER, "user": "u", "region": "eu-west-1"}, {"iam": True, "db_user": "u", "region": "eu-west-1", "secret_access_key": "s"}),
        ({"database": "shop", "workgroup": "w"}, {"iam": True, "is_serverless": True, "serverless_work_group": "w", "ssl": True}),
    ],
)
def test_a_login_is_by_password_or_by_an_identity(fields: dict[str, object], expected: dict[str, object]) -> None:
    keys = {"access_key_id": "k", "secret_access_key": "s", "region": "of the keys"}
    parameters = build_parameters(RedshiftWarehouse(**fields), keys)
    assert {name: parameters[name] for name in expected} == expected
    assert ("password" in parameters) is not ("iam" in parameters)


def test_a_block_survives_being_saved() -> None:
    warehouse = RedshiftWarehouse(**PLACE)
    assert RedshiftWarehouse(**warehouse.model_dump()).model_dump() == warehouse.model_dump()


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redshift_connector", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'anomflow\[redshift\]'"), RedshiftWarehouse(**PLACE).reading():
        pass


class ProgrammingError(Exception):
    """What the driver raises with the server's answer."""


class InterfaceError(Exception):
    """What the driver raises where there is none."""


def answer(state: str, words: str, **fields: str) -> ProgrammingError:
    return ProgrammingError({"S": "ERROR", "C": state, "M": words, **fields})


@pytest.mark.parametrize(
    ("error", "error_class", "words"),
    [
        (answer("42601", "syntax error at x"), WarehouseError, r"shop refused a statement: syntax error at x$"),
        (answer("XX000", "1023", D="Serializable isolation violation on table"), WarehouseBusyError, "Serializable isolation"),
        (answer("57014", "Query (1) cancelled on user's request"), WarehouseError, "longer than 600 s.*statement_timeout_seconds"),
        (answer("25006", "transaction is read-only"), WarehouseError, "a session for reading"),
        (answer("22001", "value too long for type character varying(256)"), WarehouseError, r"type varchar\(65535\)"),
        (answer("57P01", "terminating connection"), WarehouseUnavailableError, "terminating"),
        (InterfaceError("BrokenPipe: server socket closed"), WarehouseUnavailableError, "the connection was lost"),
        (ConnectionResetError("reset by peer"), WarehouseUnavailableError, "the connection was lost"),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(error: Exception, error_class: type[WarehouseError], words: str) -> None:
    explained = explain(read_failure(error, 1.0), "shop", LIMITS)
    assert type(explained) is error_class
    assert re.search(words, str(explained))


class EndpointConnectionError(Exception):
    """What AWS's client raises without a network."""


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (answer("28000", "password authentication failed"), WarehouseError),
        (answer("3D000", "database does not exist"), WarehouseError),
        (answer("53300", "too many connections"), WarehouseUnavailableError),
        (InterfaceError("communication error", ConnectionRefusedError()), WarehouseUnavailableError),
        (InterfaceError("communication error", ssl.SSLCertVerificationError("self-signed")), WarehouseError),
        (InterfaceError("Server refuses SSL"), WarehouseError),
        (socket.gaierror("unknown host"), WarehouseUnavailableError),
        (EndpointConnectionError("no network"), WarehouseUnavailableError),
        (ValueError("AccessDenied"), WarehouseError),
    ],
)
def test_a_login_is_tried_again_where_the_server_may_come_back(error: Exception, error_class: type[WarehouseError]) -> None:
    assert type(explain_refusal(error, find_words(error), "shop")) is error_class


def test_rows_are_literals_in_which_a_backslash_is_a_backslash() -> None:
    rows = build_rows((DAY, "a\\' b", 0.1, None)).select("metric_timestamp", "metric_name", "metric_value", "metadata")
    assert render_rows(rows) == r"('2026-01-01 00:00:00.000000+00:00', 'a\\'' b', '0.1', null)"
    with pytest.raises(WarehouseError, match="metric_name has a text with a NUL"):
        render_rows(build_rows((DAY, "a\0", 0.1)))


def test_no_rows_have_types_too() -> None:
    found = read_rows([("a", 1184), ("b", 1700), ("c", 4000)], [], "shop")
    assert [str(dtype) for dtype in found.dtypes] == ["Datetime(time_unit='us', time_zone='UTC')", "Float64", "String"]


@pytest.mark.parametrize("name", GOLDEN)
def test_the_queries_of_the_jobs_have_nothing_that_redshift_refuses(name: str) -> None:
    assert find_refused(GOLDEN[name]) is None


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("insert into t select 1 on conflict (a) do nothing", "ON CONFLICT"),
        ("delete from t as x where true", "an alias"),
        ('delete from "t" x using s where true', "an alias"),
        ('delete from "t" using "s" as x where true', "an alias of a table of USING"),
        ("select distinct on (a) a from t", "DISTINCT ON"),
        ("select array[1]", "array constructors"),
        ("select count(*) filter (where a) from t", "FILTER"),
        ("create index on t (a)", "indexes"),
        ("create table t (a text)", "this type"),
        ("select pg_advisory_xact_lock(1)", "the function pg_advisory_xact_lock"),
        ("select to_regclass('t')", "the function to_regclass"),
        ("select div(7, 2)", "the function div"),
        ("create temp table t (a integer) on commit drop", "ON COMMIT"),
        ("set lock_timeout to 5", "this parameter"),
    ],
)
def test_the_stand_in_refuses_what_only_postgresql_takes(statement: str, words: str) -> None:
    assert words in (find_refused(statement) or "")


@pytest.mark.parametrize(
    "statement",
    [
        "select ' on conflict array[1] \\' div(1, 2)' from \"on conflict\" -- array[1]",
        'delete from "t" using s where "t"."a" = s."a"',
        "insert into t (a) values (1)",
        "create table t (a varchar(9)) distkey(a) compound sortkey(a, b)",
    ],
)
def test_the_stand_in_takes_what_redshift_takes(statement: str) -> None:
    assert find_refused(statement) is None


def test_the_stand_in_rewrites_code_and_no_text() -> None:
    statement = "create table t (a bigint) distkey(a) compound sortkey(a, b); select DATEDIFF(SECOND, a, b), 'try_cast(distkey(a))'"
    assert to_postgres(statement) == "create table t (a bigint)  ; select datediff('second', a, b), 'try_cast(distkey(a))'"
