"""What only Redshift does: its types, its lock, what a wrong table is told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from anomflow.frames import ALERTS, OBSERVATIONS, UTC
from tests.conformance.rows import DAY, build_rows, fill, read_all, read_values
from tests.services.engines.postgres import run_as_superuser
from tests.services.engines.redshift import build_warehouse, run_raw

if TYPE_CHECKING:
    from blocks.warehouses.redshift import RedshiftWarehouse

pytestmark = pytest.mark.services


@pytest.fixture
def warehouse(tmp_path: Path) -> RedshiftWarehouse:
    return build_warehouse(tmp_path)


def list_tables(warehouse: RedshiftWarehouse) -> set[object]:
    schema = warehouse.schema_name
    return {row[0] for row in run_raw(warehouse, [f"select tablename from pg_tables where schemaname = '{schema}'"])}


@pytest.mark.parametrize(
    ("sql", "dtype", "value"),
    [
        ("cast(9007199254740993 as bigint)", pl.Int64, 9007199254740993),
        ("cast(7 as smallint)", pl.Int64, 7),
        ("cast('12345.678' as numeric(12,3))", pl.Float64, 12345.678),
        ("cast('0.5' as real)", pl.Float64, 0.5),
        ("true", pl.Boolean, True),
        ("cast('2026-01-01' as date)", pl.Date, dt.date(2026, 1, 1)),
        ("cast('2026-01-01 01:00:00' as timestamp)", pl.Datetime("us"), dt.datetime(2026, 1, 1, 1)),  # noqa: DTZ001 - it has no zone
        ("cast('2026-01-01 01:00:00+01:00' as timestamptz)", UTC, DAY),
        ("cast(null as timestamptz)", UTC, None),
        ("cast('x' as varchar(9))", pl.String, "x"),
    ],
)
def test_a_type_comes_as_what_it_is(warehouse: RedshiftWarehouse, sql: str, dtype: pl.DataType, value: object) -> None:
    with warehouse.reading() as session:
        (column,) = session.read(f"select {sql} as x").get_columns()
    assert (column.dtype, column.to_list()) == (dtype, [value])


@pytest.mark.parametrize(("column", "kind"), [("metric_value", "numeric(10,2)"), ("metric_value", "real"), ("metric_timestamp", "date")])
def test_a_column_that_would_change_values_is_refused_by_name(warehouse: RedshiftWarehouse, column: str, kind: str) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    run_raw(warehouse, ["truncate metrics", f"alter table metrics drop column {column}", f"alter table metrics add column {column} {kind}"])
    with pytest.raises(WarehouseError, match=rf"column {column} of table 'metrics' is .*make it "):
        fill(warehouse, build_rows((DAY, "m", 1.0)))


def test_a_text_that_is_too_long_for_its_column_is_an_error_and_nothing_is_cut_off(warehouse: RedshiftWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    run_raw(warehouse, ["alter table metrics alter column metadata type varchar(9)"])
    with pytest.raises(WarehouseError, match=r"value too long.*type varchar\(65535\)"):
        fill(warehouse, build_rows((DAY, "m", 2.0, "0123456789")))
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_a_writer_that_waits_too_long_is_busy_and_a_reader_does_not_wait(tmp_path: Path, warehouse: RedshiftWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    hasty = build_warehouse(tmp_path, 0.2)
    with warehouse.writing() as session:
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        assert read_values(hasty) == [(DAY, "m", 1.0)]
        with pytest.raises(WarehouseBusyError, match=r"longer than 0.2 s.*lock_timeout_seconds"):
            fill(hasty, build_rows((DAY, "m", 3.0)))
        with pytest.raises(WarehouseBusyError), hasty.writing() as second:
            second.execute('update "metrics_alerts" set status = null where true')
    assert read_values(hasty) == [(DAY, "m", 2.0)]


def test_a_statement_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    hasty = build_warehouse(tmp_path, statement_timeout_seconds=0.3)
    slow = "select count(*) from pg_attribute as a join pg_attribute as b on true join pg_attribute as c on true"
    with pytest.raises(WarehouseError, match=r"longer than 0\.3 s"), hasty.reading() as session:
        session.read(slow)


def test_a_connection_that_is_lost_undoes_its_session(warehouse: RedshiftWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(WarehouseUnavailableError), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        (pid,) = session.read("select pid from pg_locks where mode = 'AccessExclusiveLock' and pid is not null limit 1")["pid"].to_list()
        run_as_superuser(f"select pg_terminate_backend({pid})")
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 3.0)))
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_a_dropped_table_takes_its_lock_along(warehouse: RedshiftWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        session.ensure_table(ALERTS, "other_alerts")
    assert list_tables(warehouse) == {"metrics", "metrics_lock", "other_alerts", "other_lock"}
    with warehouse.writing() as session:
        session.execute(f"drop table {session.identifier('metrics')}")
    assert list_tables(warehouse) == {"other_alerts", "other_lock"}


def test_a_schema_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="there is no schema 'nowhere'"), build_warehouse(tmp_path, schema_name="nowhere").reading():
        pass


def test_a_wrong_password_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="refused the connection") as caught, build_warehouse(tmp_path, password="s3cret").reading():
        pass
    assert "s3cret" not in str(caught.value)


def test_rows_of_more_than_one_statement_come_back(warehouse: RedshiftWarehouse) -> None:
    rows = build_rows(*((DAY + dt.timedelta(minutes=count), "m", float(count), "x" * 60_000) for count in range(100)))
    fill(warehouse, rows)
    assert read_all(warehouse).sort("metric_timestamp").equals(rows)
