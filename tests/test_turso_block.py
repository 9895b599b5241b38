"""What can be told of Turso without a server: its settings, how values are written and read, and what its errors mean."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from anomflow.errors import SettingsError, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.loading import load_warehouse
from blocks.warehouses.turso import TursoWarehouse
from blocks.warehouses.turso_errors import HranaError, Place, StreamLimits, explain_failure
from blocks.warehouses.turso_values import build_frame, build_source, check_texts, split_rows
from tests.conformance.rows import build_many

SECRET = "eyJhbGciOi.s3cret-token"
PLACE = Place("turso:shop", StreamLimits(600, 60, connect_seconds=10))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ANOMFLOW_TURSO_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Field required"),
        ({"url": "shop.turso.io"}, "must be libsql://HOST"),
        ({"url": "wss://shop.turso.io"}, "must be libsql://HOST"),
        ({"url": f"libsql://shop.turso.io?authToken={SECRET}"}, "the token is auth_token"),
        ({"url": f"libsql://user:{SECRET}@shop.turso.io"}, "the token is auth_token"),
        ({"url": "libsql://shop.turso.io", "auth_token": f"{SECRET}\n"}, "is no token"),
        ({"url": "libsql://shop.turso.io", "auth_token": f"Bearer {SECRET}"}, "is no token"),
        ({"url": "libsql://shop.turso.io", "lock_timeout_seconds": 0}, "greater than 0"),
    ],
)
def test_wrong_fields_are_refused_without_quoting_a_secret(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as caught:
        TursoWarehouse(**fields)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("libsql://shop-acme.turso.io", "turso:shop-acme.turso.io"),
        ("https://shop-acme.turso.io/", "turso:shop-acme.turso.io"),
        ("http://127.0.0.1:8080", "turso:127.0.0.1:8080"),
        ("http://[::1]:8080/libsql", "turso:[::1]:8080/libsql"),
    ],
)
def test_the_environment_names_a_database(url: str, location: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANOMFLOW_TURSO_URL", url)
    monkeypatch.setenv("ANOMFLOW_TURSO_AUTH_TOKEN", SECRET)
    warehouse = load_warehouse("turso", tmp_path)
    assert warehouse.location == location
    assert SECRET not in repr(warehouse)


def test_a_wrong_variable_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANOMFLOW_TURSO_URL", f"libsql://{SECRET}@shop")
    with pytest.raises(SettingsError, match="ANOMFLOW_TURSO_URL") as caught:
        load_warehouse("turso", tmp_path)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (HranaError("Transaction timed out", "TRANSACTION_TIMEOUT"), WarehouseBusyError, "run again, or raise lock_timeout_seconds"),
        (HranaError("database is locked", "SQLITE_BUSY"), WarehouseBusyError, "another session wrote"),
        (HranaError("The stream has expired", "STREAM_EXPIRED", 400), WarehouseUnavailableError, "connection was lost"),
        (HranaError("Received an invalid baton", "", 400), WarehouseUnavailableError, "connection was lost"),
        (HranaError("slow down", "", 429), WarehouseUnavailableError, "answered 429"),
        (HranaError("bad gateway", "", 502), WarehouseUnavailableError, "answered 502"),
        (HranaError("The JWT has expired", "", 401), WarehouseError, "turso db tokens create NAME.*ANOMFLOW_TURSO_AUTH_TOKEN"),
        (HranaError("not have Write permission", "", 403), WarehouseError, "it may only read"),
        (HranaError("", "", 404), WarehouseError, "correct the url"),
        (HranaError('near "selec"', "SQL_INPUT_ERROR"), WarehouseError, "refused a statement"),
        (HranaError("invalid utf-8", "", 500), WarehouseError, "refused a statement"),
    ],
)
def test_only_what_may_pass_is_tried_again(error: HranaError, kind: type[Exception], words: str) -> None:
    found = explain_failure(error, PLACE)
    assert type(found) is kind
    assert re.search(f"^turso:shop.*{words}", str(found))


def write(rows: pl.DataFrame) -> list[tuple[object, ...]]:
    """Write rows by the statement of a session into SQLite itself, and read them."""
    source = build_source(rows, '"stage"', [f'"{name}"' for name in rows.columns])
    plain = {"integer": int, "float": float, "text": str}
    with closing(sqlite3.connect(":memory:")) as connection:
        arguments = [plain[argument["type"]](argument["value"]) for argument in source.arguments]
        return connection.execute(f"{source.sql} select * from stage", arguments).fetchall()


NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@settings(max_examples=30)
@given(st.lists(st.tuples(NUMBERS, TEXTS), min_size=1, max_size=8))
def test_every_number_is_written_to_its_last_digit_and_every_text_whole(rows: list[tuple[float | None, str | None]]) -> None:
    assert write(pl.DataFrame(rows, schema={"number": pl.Float64, "text": pl.String}, orient="row")) == rows


def test_a_text_that_would_be_cut_is_refused() -> None:
    assert write(pl.DataFrame({"text": ["\\u0000"]})) == [("\\u0000",)]
    with pytest.raises(WarehouseError, match="turso:shop: a text in text has a NUL character"):
        check_texts(pl.DataFrame({"number": [1], "text": ["a\0b"]}), "turso:shop")


def test_integers_booleans_and_times_are_written_as_sqlite_keeps_them() -> None:
    rows = build_many(1).with_columns(whole=pl.lit(2**63 - 1), yes=pl.lit(True), no=pl.lit(None, dtype=pl.Boolean))
    assert write(rows.select("metric_timestamp", "whole", "yes", "no")) == [("2026-01-01 00:00:00.000000", 2**63 - 1, 1, None)]


def test_many_rows_are_few_statements() -> None:
    parts = list(split_rows(build_many(100_000)))
    assert len(parts) < 10
    assert pl.concat(parts).equals(build_many(100_000))


def cell(kind: str, value: object) -> dict[str, object]:
    return {"type": kind, "base64" if kind == "blob" else "value": value}


NOTHING = {"type": "null"}


@pytest.mark.parametrize(
    ("chunks", "dtype", "values"),
    [
        ([[cell("integer", "9007199254740993"), NOTHING]], pl.Int64, [9007199254740993, None]),
        ([[cell("integer", "1"), cell("float", 0.5)]], pl.Float64, [1.0, 0.5]),
        ([[cell("integer", "1")], [cell("float", 0.5)]], pl.Float64, [1.0, 0.5]),
        ([[cell("float", 0.1)], [NOTHING], [cell("text", "x")]], pl.String, ["0.1", None, "x"]),
        ([[cell("float", None)]], pl.Float64, [None]),
        ([[cell("blob", "AP8")]], pl.Binary, [b"\x00\xff"]),
        ([[NOTHING]], pl.Int64, [None]),
        ([[]], pl.Int64, []),
        ([], pl.Int64, []),
    ],
)
def test_a_column_is_of_the_type_that_holds_its_values(chunks: list[list[object]], dtype: pl.DataType, values: list[object]) -> None:
    (column,) = build_frame([{"name": "x"}], [[[value] for value in chunk] for chunk in chunks], "turso:shop").get_columns()
    assert (column.dtype, column.to_list()) == (dtype, values)


@pytest.mark.parametrize(
    ("names", "cells", "words"),
    [
        (["a", "a"], [NOTHING, NOTHING], "more than one occurrence of column a"),
        (["a"], [cell("blob", "AP8")], "holds bytes and other values"),
    ],
)
def test_what_no_frame_holds_is_refused_by_name(names: list[str], cells: list[object], words: str) -> None:
    with pytest.raises(WarehouseError, match=f"turso:shop.*{words}"):
        build_frame([{"name": name} for name in names], [[cells], [[cell("text", "x")] * len(cells)]], "turso:shop")
