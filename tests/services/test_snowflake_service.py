"""What only Snowflake does: its types, its case of names, what a wrong table is told."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import polars as pl
import pytest

from anomflow.errors import WarehouseError, WarehouseUnavailableError
from anomflow.frames import UTC
from blocks.warehouses.snowflake import SnowflakeWarehouse
from tests.conformance.rows import DAY, build_many, build_rows, fill, read_all, read_values
from tests.services.engines.snowflake import build_warehouse, run_raw
from tests.services.remote import measure_peak

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services


@pytest.fixture
def warehouse(tmp_path: Path) -> SnowflakeWarehouse:
    return build_warehouse(tmp_path)


def read(warehouse: SnowflakeWarehouse, sql: str) -> pl.DataFrame:
    with warehouse.reading() as session:
        return session.read(sql)


@pytest.mark.parametrize(
    ("sql", "dtype", "value"),
    [
        ("9007199254740993::number(38,0)", pl.Int64, 9007199254740993),
        ("12345.678::number(12,3)", pl.Float64, 12345.678),
        ("true", pl.Boolean, True),
        ("parse_json('{\"a\":1}')", pl.String, '{"a":1}'),
        ("'2026-01-01'::date", pl.Date, dt.date(2026, 1, 1)),
        ("'2026-01-01 01:00:00'::timestamp_ntz", pl.Datetime("us"), dt.datetime(2026, 1, 1, 1)),  # noqa: DTZ001 - it has no zone
        ("'2026-01-01 01:00:00 +01:00'::timestamp_tz", UTC, DAY),
        ("null::timestamp_ltz", UTC, None),
    ],
)
def test_a_type_comes_as_what_it_is(warehouse: SnowflakeWarehouse, sql: str, dtype: pl.DataType, value: object) -> None:
    (column,) = read(warehouse, f"select {sql} as x").get_columns()
    assert (column.dtype, column.to_list()) == (dtype, [value])


def test_no_rows_have_types_too(warehouse: SnowflakeWarehouse) -> None:
    assert read(warehouse, "select 1 as x where false").schema == {"x": pl.Int64}


def test_plain_sql_of_others_finds_our_table(warehouse: SnowflakeWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    assert run_raw(warehouse, ["select Metric_Value from Metrics"]) == [(1.0,)]


@pytest.mark.parametrize(("column", "kind"), [("metric_value", "number(10,2)"), ("metadata", "variant"), ("metric_timestamp", "date")])
def test_a_column_that_would_change_values_is_refused(warehouse: SnowflakeWarehouse, column: str, kind: str) -> None:
    kinds = {"metric_timestamp": "timestamp_ntz", "metric_value": "double", column: kind}
    names = ("metric_timestamp", "metric_batch", "metric_name", "metric_type", "metric_value", "metadata")
    listed = ", ".join(f"{name} {kinds.get(name, 'varchar')}" for name in names)
    run_raw(warehouse, [f"create table metrics ({listed})"])
    with pytest.raises(WarehouseError, match=f"column {column} .*do not come back"):
        fill(warehouse, build_rows((DAY, "m", 1.25)))


def test_what_a_write_needs_beside_its_rows_does_not_grow_with_them(warehouse: SnowflakeWarehouse) -> None:
    few, many = build_many(30_000), build_many(150_000)
    fill(warehouse, few)
    peaks = [measure_peak(lambda rows=rows: fill(warehouse, rows)) for rows in (few, many)]
    assert peaks[1] < peaks[0] + 60_000_000  # 40 are copies of the rows; all of them in one text make it 80 or more
    assert read_all(warehouse)["metric_value"].sum() == many["metric_value"].sum()


def test_what_was_written_before_ddl_stays_and_the_lock_is_taken_again(warehouse: SnowflakeWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(ZeroDivisionError), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        session.execute("update metrics set metric_value = 2")
        session.execute("create table other (x integer)")
        session.execute("update metrics set metric_value = 3")
        raise ZeroDivisionError
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_service_that_does_not_answer_is_transient_and_no_secret_is_told(warehouse: SnowflakeWarehouse) -> None:
    lost = warehouse.model_copy(update={"port": 1, "login_timeout_seconds": 2})
    with pytest.raises(WarehouseUnavailableError, match="cannot be reached") as caught:
        read(lost, "select 1")
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
