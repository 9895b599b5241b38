"""What can be told of Snowflake without a server: its settings, its texts of SQL, and what its errors mean."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from anomflow.errors import MissingDependencyError, SettingsError, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from anomflow.frames import OBSERVATIONS
from blocks.loading import load_warehouse
from blocks.warehouses.rows import split_rows
from blocks.warehouses.server import Limits
from blocks.warehouses.snowflake import SnowflakeWarehouse
from blocks.warehouses.snowflake_errors import explain_failure, explain_refusal
from blocks.warehouses.snowflake_session import SnowflakeSession
from blocks.warehouses.snowflake_statements import Place
from blocks.warehouses.snowflake_values import fits, fold_names, render_rows
from tests.conformance.rows import DAY, build_many, build_rows

SECRET = "it's \\ s%cret"
PLACE = {"account": "shop-eu", "user": "anomflow", "password": SECRET, "database": "SHOP"}
LIMITS = Limits(statement_seconds=600, lock_seconds=60)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ANOMFLOW_SNOWFLAKE_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "account, user is missing: give account, user and a secret, or credentials"),
        ({**PLACE, "password": None}, "give one of password, private_key, private_key_path, token; found: none"),
        ({**PLACE, "token": SECRET}, "found: password, token"),
        ({**PLACE, "credentials": "snowflake-credentials/shop"}, "either credentials or account, user, password, not both"),
        ({"credentials": "snowflake-credentials/shop"}, "database is missing; only a snowflake-connector brings its own"),
        ({"credentials": "aws-credentials/shop", "database": "SHOP"}, "should match pattern"),
        ({**PLACE, "database": None}, "database is missing"),
        ({**PLACE, "port": 443}, "port and protocol are those of a host"),
        ({**PLACE, "authenticator": "externalbrowser"}, "'snowflake', 'snowflake_jwt'"),
        ({**PLACE, "login_timeout_seconds": 1}, "greater than or equal to 2"),
    ],
)
def test_wrong_fields_are_refused_without_quoting_a_secret(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        SnowflakeWarehouse(**fields)
    assert "s%cret" not in str(caught.value)


def test_the_environment_names_a_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**PLACE, "schema_name": "ANOMFLOW", "warehouse": "SMALL"}.items():
        monkeypatch.setenv(f"ANOMFLOW_SNOWFLAKE_{name.upper()}", value)
    warehouse = load_warehouse("snowflake", tmp_path)
    assert warehouse.location == "snowflake:shop-eu/SHOP schema ANOMFLOW"
    assert SECRET not in repr(warehouse)


def test_wrong_variables_are_named_without_their_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**PLACE, "port": SECRET}.items():
        monkeypatch.setenv(f"ANOMFLOW_SNOWFLAKE_{name.upper()}", value)
    with pytest.raises(SettingsError, match="ANOMFLOW_SNOWFLAKE_PORT") as caught:
        load_warehouse("snowflake", tmp_path)
    assert "s%cret" not in str(caught.value)


@pytest.mark.skipif("snowflake" in os.environ.get("ANOMFLOW_TEST_SERVICE", ""), reason="the connector is installed for its service")
@pytest.mark.parametrize("fields", [PLACE, {"credentials": "snowflake-connector/shop"}])
def test_a_missing_driver_names_the_extra(fields: dict[str, str]) -> None:
    with pytest.raises(MissingDependencyError, match=r"anomflow\[snowflake\]"), SnowflakeWarehouse(**fields).reading():
        pass


def build_session() -> SnowflakeSession:
    return SnowflakeSession(None, Place("snowflake:shop", LIMITS), writable=False)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("metrics", '"METRICS"'),
        ("shop.public.metrics_alerts", '"SHOP"."PUBLIC"."METRICS_ALERTS"'),
        ("Metrics", '"Metrics"'),
        ("select", '"SELECT"'),
        ('a"b', '"a""b"'),
        ("weird table", '"weird table"'),
    ],
)
def test_a_name_is_what_it_is_without_quotes_where_it_needs_none(name: str, quoted: str) -> None:
    assert build_session().identifier(name) == quoted


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(WarehouseError, match="more than 255"):
        build_session().identifier("m" * 256)


@pytest.mark.parametrize(("text", "literal"), [("a'b", "'a''b'"), ("a\\'; drop", "'a\\\\''; drop'"), ("\\", "'\\\\'")])
def test_a_backslash_ends_no_text(text: str, literal: str) -> None:
    assert build_session().literal(text) == literal


@pytest.mark.parametrize(
    "sql",
    ["insert into t values (1)", "-- select\ndelete from t", "/* select */ call p()", "// x\ndrop table t", "begin delete from t; end", ""],
)
def test_a_session_for_reading_runs_queries_only(sql: str) -> None:
    with pytest.raises(WarehouseError, match=r"is read-only, and .* begins no query"):
        build_session().read(sql)


def test_rows_are_written_as_texts_exact_to_the_last_digit() -> None:
    rows = build_rows((DAY.replace(microsecond=1), 'a"\n\\ü', 0.1 + 0.2), (DAY, "m", None, "{}"))
    first, second = json.loads(render_rows(rows))
    assert list(first.values()) == ["2026-01-01 00:00:00.000001+00:00", "b", 'a"\n\\ü', "metric", "0.30000000000000004", None]
    assert list(second.values())[4:] == [None, "{}"]
    assert list(first) == ["c0", "c1", "c2", "c3", "c4", "c5"]


def test_many_rows_are_cut_into_parts_of_some_megabytes() -> None:
    rows = build_many(100_000)
    parts = list(split_rows(rows))
    assert pl.concat(parts).equals(rows)
    assert max(len(render_rows(part)) for part in parts) < 16_000_000
    assert len(parts) < 10
    assert list(split_rows(rows[:0])) == []


@pytest.mark.parametrize(
    ("kind", "column", "does"),
    [
        ("TIMESTAMP_LTZ(6)", "metric_timestamp", True),
        ("TIMESTAMP_NTZ(9)", "metric_timestamp", True),
        ("TIMESTAMP_NTZ(3)", "metric_timestamp", False),
        ("DATE", "metric_timestamp", False),
        ("VARCHAR(16777216)", "metadata", True),
        ("VARIANT", "metadata", False),
        ("FLOAT", "metric_value", True),
        ("NUMBER(38,0)", "metric_value", False),
        ("NUMBER(10,2)", "metric_value", False),
    ],
)
def test_a_column_fits_where_values_come_back_as_they_were_written(kind: str, column: str, *, does: bool) -> None:
    assert fits(kind, OBSERVATIONS.columns[column]) is does


def test_names_that_snowflake_capitalised_are_small_again() -> None:
    assert fold_names(["METRIC_VALUE", "Mixed", "WITH SPACE", "A1$"], "here") == ["metric_value", "Mixed", "WITH SPACE", "a1$"]
    with pytest.raises(WarehouseError, match="more than one occurrence of column a"):
        fold_names(["A", "a"], "here")


class DriverError(Exception):
    """An error as the connector raises them."""

    def __init__(self, errno: int, sqlstate: str | None = None) -> None:
        super().__init__(f"{errno:06d}: words")
        self.errno = errno
        self.sqlstate = sqlstate


class OperationalError(DriverError):
    """What the connector raises where nothing answers."""


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (DriverError(625, "57014"), WarehouseBusyError, "longer than 60 s.*lock_timeout_seconds"),
        (DriverError(1, "40P01"), WarehouseBusyError, "run again"),
        (DriverError(630, "57014"), WarehouseError, "longer than 600 s.*statement_timeout_seconds"),
        (DriverError(390114), WarehouseUnavailableError, "was lost"),
        (OperationalError(250003), WarehouseUnavailableError, "was lost"),
        (OperationalError(7), WarehouseUnavailableError, "was lost"),
        (DriverError(606, "57P03"), WarehouseError, "virtual warehouse"),
        (DriverError(1003, "42000"), WarehouseError, "refused a statement: 001003: words$"),
        (DriverError(3001, "42501"), WarehouseError, "grant it"),
    ],
)
def test_only_what_passes_is_transient(error: Exception, kind: type[WarehouseError], words: str) -> None:
    explained = explain_failure(error, "snowflake:shop", LIMITS)
    assert type(explained) is kind
    assert re.search(words, str(explained))


def test_a_wrong_password_is_not_tried_again_and_a_silent_network_is() -> None:
    assert type(explain_refusal(DriverError(250001), "Incorrect username", "snowflake:shop")) is WarehouseError
    assert type(explain_refusal(OperationalError(250001), "timed out", "snowflake:shop")) is WarehouseUnavailableError
