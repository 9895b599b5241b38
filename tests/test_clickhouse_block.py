"""What can be told of ClickHouse without a server: its settings, its texts of SQL, its types, and what its errors mean."""

from __future__ import annotations

import os
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

import polars as pl
import pytest
from pydantic import ValidationError

from anomflow.errors import MissingDependencyError, SettingsError, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.loading import load_warehouse
from blocks.warehouses.clickhouse import ClickHouseWarehouse
from blocks.warehouses.clickhouse_errors import explain_failure, explain_refusal
from blocks.warehouses.clickhouse_pending import Pending, read_note, render_note
from blocks.warehouses.clickhouse_rewriting import Deletion, Update, read_statement, rewrite_tables
from blocks.warehouses.clickhouse_server import Server
from blocks.warehouses.clickhouse_session import ClickHouseSession
from blocks.warehouses.clickhouse_values import fits, keeps_times, unwrap
from blocks.warehouses.server import LeaseLimits
from tests.conformance.rows import DAY

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "it's \\ s%cret"
PLACE = {"host": "example.com", "user": "anomflow", "password": SECRET, "database": "shop"}
LIMITS = LeaseLimits(statement_seconds=600, lock_seconds=180, lease_seconds=120)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ANOMFLOW_CLICKHOUSE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def session() -> ClickHouseSession:
    return ClickHouseSession(Server(None, "clickhouse:shop", "shop", LIMITS, writable=False))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": SECRET}, "Field required"),
        ({**PLACE, "host": "https://example.com"}, "should match pattern"),
        ({**PLACE, "database": "a.b"}, "should match pattern"),
        ({**PLACE, "secure": False, "ca_cert": "ca.pem"}, "ca_cert is for an encrypted connection"),
        ({**PLACE, "lease_seconds": 1}, "greater than or equal to 2"),
    ],
)
def test_wrong_fields_are_refused_without_quoting_a_secret(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        ClickHouseWarehouse(**fields)
    assert "s%cret" not in str(caught.value)


@pytest.mark.parametrize(("secure", "port"), [("", 8443), ("true", 8443), ("false", 8123)])
def test_the_environment_names_a_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secure: str, port: int) -> None:
    for name, value in {**PLACE, "secure": secure}.items():
        monkeypatch.setenv(f"ANOMFLOW_CLICKHOUSE_{name.upper()}", value)
    warehouse = load_warehouse("clickhouse", tmp_path)
    assert warehouse.location == f"clickhouse:example.com:{port}/shop"
    assert SECRET not in repr(warehouse)


def test_wrong_variables_are_named_without_their_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**PLACE, "port": SECRET}.items():
        monkeypatch.setenv(f"ANOMFLOW_CLICKHOUSE_{name.upper()}", value)
    with pytest.raises(SettingsError, match="ANOMFLOW_CLICKHOUSE_PORT") as caught:
        load_warehouse("clickhouse", tmp_path)
    assert "s%cret" not in str(caught.value)


@pytest.mark.skipif("clickhouse" in os.environ.get("ANOMFLOW_TEST_SERVICE", ""), reason="the client is installed for its service")
def test_a_missing_client_is_named_with_its_extra() -> None:
    with pytest.raises(MissingDependencyError, match=r"anomflow\[clickhouse\]"), ClickHouseWarehouse(**PLACE).reading():
        pass


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("a'b\\c", "'a''b\\\\c'"),
        (DAY, "toDateTime64('2026-01-01 00:00:00.000000', 6, 'UTC')"),
        (DAY.replace(year=2999), "fromUnixTimestamp64Micro(32472144000000000, 'UTC')"),
    ],
)
def test_a_value_is_written_in_clickhouses_way(session: ClickHouseSession, value: object, sql: str) -> None:
    assert session.literal(value) == sql


@pytest.mark.parametrize("name", ["a`b", "a\\b"])
def test_a_name_that_would_need_escaping_is_refused(session: ClickHouseSession, name: str) -> None:
    with pytest.raises(WarehouseError, match="backticks and backslashes"):
        session.identifier(name)
    assert session.identifier('shop.say "hi"') == '`shop`.`say "hi"`'


@pytest.mark.parametrize(
    ("kind", "dtype", "needs_null", "fine"),
    [
        ("Nullable(Float64)", pl.Float64(), True, True),
        ("Float64", pl.Float64(), True, False),
        ("Float32", pl.Float64(), False, False),
        ("LowCardinality(Nullable(String))", pl.String(), True, True),
        ("String", pl.String(), True, True),
        ("FixedString(3)", pl.String(), False, False),
        ("DateTime", pl.Datetime("us", "UTC"), False, True),
        ("DateTime64(6, 'Europe/Berlin')", pl.Datetime("us", "UTC"), False, True),
        ("DateTime64(3)", pl.Datetime("us", "UTC"), False, False),
        ("Date", pl.Datetime("us", "UTC"), False, False),
    ],
)
def test_a_type_fits_where_values_come_back(kind: str, dtype: pl.DataType, needs_null: bool, fine: bool) -> None:
    assert fits(kind, dtype, needs_null=needs_null) is fine


def test_a_type_is_what_stands_inside() -> None:
    assert unwrap("LowCardinality(Nullable(DateTime('UTC')))") == "DateTime('UTC')"


@pytest.mark.parametrize(
    ("kind", "moment", "fine"),
    [
        ("DateTime", DAY, True),
        ("Nullable(DateTime('UTC'))", DAY.replace(microsecond=1), False),
        ("DateTime", DAY.replace(year=1969), False),
        ("DateTime", DAY.replace(year=2107), False),
        ("DateTime64(6)", DAY.replace(year=2107, microsecond=1), True),
    ],
)
def test_whole_seconds_keep_some_times_only(kind: str, moment: object, fine: bool) -> None:
    assert keeps_times(kind, pl.Series([moment, None], dtype=pl.Datetime("us", "UTC"))) is fine


def test_a_change_is_read_with_its_texts_as_they_are() -> None:
    sql = "update `shop`.`t` set `a` = 'x''; drop \\\\ table', b = c + 1 where a = 'y''z' and b in (1, 2)"
    update = read_statement(sql, "clickhouse:shop")
    assert update == Update("shop.t", {"`a`": "'x''; drop \\\\ table'", "`b`": "c + 1"}, "a = 'y''z' AND b IN (1, 2)")
    assert read_statement("delete from t where true", "clickhouse:shop") == Deletion("t", "TRUE")
    assert read_statement("create table t (a Int64)", "clickhouse:shop") is None


@pytest.mark.parametrize("sql", ["insert into t select 1", "update t set", "delete from t where ("])
def test_what_cannot_be_read_or_undone_is_refused(sql: str) -> None:
    with pytest.raises(WarehouseError, match="clickhouse:shop refused a statement"):
        read_statement(sql, "clickhouse:shop")


def test_a_query_stands_in_place_of_its_table_and_of_no_other() -> None:
    sql = "with u as (select 1 as a) select t.a from t, other.t as o, u where t.a in (select a from shop.t) and o.b = 't'"
    seen = rewrite_tables(sql, {"shop.t": "select 2 as a", "shop.u": "select 3 as a"}, "shop")
    own = "(SELECT 2 AS a)"
    assert seen.count(own) == 2
    assert "other.t AS o" in seen
    assert "SELECT 3" not in seen
    assert rewrite_tables("select 1 from x", {"shop.t": "select 2"}, "shop") == "select 1 from x"


@pytest.mark.parametrize(
    ("value", "sent"), [("0", {"readonly": 2, "max_execution_time": 600}), ("2", {"max_execution_time": 600}), ("1", {})]
)
def test_a_user_that_may_change_no_settings_is_sent_none(value: str, sent: dict[str, object]) -> None:
    names = ("readonly", "max_execution_time")
    known = {name: SimpleNamespace(value=value if name == "readonly" else "0", readonly=int(value == "1")) for name in names}
    server = Server(SimpleNamespace(server_settings=known), "clickhouse:shop", "shop", LIMITS, writable=False)
    assert server.choose_settings() == sent


def test_a_note_of_a_commit_is_read_as_it_was_written() -> None:
    pending = Pending("`shop`.`t`", "`shop`.`t_pending`", ("`a`", "`b`"), ("`a`",))
    assert read_note(render_note([pending])) == [pending]
    assert read_note("") == []


class DriverError(Exception):
    """An error as the client raises them."""

    def __init__(self, code: int | None, words: str) -> None:
        super().__init__(words)
        self.code = code


class OperationalError(DriverError):
    """One of the network."""


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OperationalError(None, "Connection refused"), WarehouseUnavailableError, "cannot be reached"),
        (DriverError(None, "HTTPDriver returned response code 503"), WarehouseUnavailableError, "cannot be reached"),
        (DriverError(202, "TOO_MANY_SIMULTANEOUS_QUERIES"), WarehouseUnavailableError, "overloaded"),
        (DriverError(241, "memory limit (total) exceeded"), WarehouseUnavailableError, "overloaded"),
        (DriverError(241, "memory limit (for query) exceeded"), WarehouseError, "refused a statement"),
        (DriverError(473, "DEADLOCK_AVOIDED"), WarehouseBusyError, "run again"),
        (DriverError(159, "TIMEOUT_EXCEEDED"), WarehouseError, "raise statement_timeout_seconds .600 s, of a session that writes 60 s"),
        (DriverError(497, "Not enough privileges"), WarehouseError, "grant it to the user"),
        (DriverError(62, "Syntax error"), WarehouseError, "'selec 1': Syntax error"),
        (DriverError(47, "code: 47, server response: Code: 47. Unknown x (for url http://h:1)"), WarehouseError, "Unknown x$"),
    ],
)
def test_an_error_is_told_by_its_code(error: DriverError, kind: type[WarehouseError], words: str) -> None:
    explained = explain_failure(error, "selec 1", "clickhouse:shop", LIMITS)
    assert type(explained) is kind
    assert re.search(words, str(explained))


def test_a_refused_login_is_not_tried_again() -> None:
    assert type(explain_refusal(DriverError(516, "password is incorrect"), "password is incorrect", "clickhouse:shop")) is WarehouseError
    assert type(explain_refusal(OperationalError(None, "timed out"), "timed out", "clickhouse:shop")) is WarehouseUnavailableError
    missing = explain_refusal(DriverError(81, "UNKNOWN_DATABASE"), "UNKNOWN_DATABASE", "clickhouse:shop")
    assert "create the database" in str(missing)
