"""What only BigQuery does: its types, sessions, conflicts, limits of cost and time."""

from __future__ import annotations

import datetime as dt
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl
import pytest

from anomflow.errors import Transient, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from anomflow.frames import ALERTS, OBSERVATIONS, UTC
from tests.conformance.rows import DAY, build_alert, build_many, build_rows, fill, read_all, read_values
from tests.services.engines.bigquery import build_warehouse, find_configurations, find_jobs, run_raw
from tests.services.remote import measure_peak, run_at_once
from tests.services.service import ROOT, find_free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from blocks.warehouses.bigquery import BigQueryWarehouse

pytestmark = pytest.mark.services

# As if so much time had passed that all leases ran out.
LATER = "update metrics_lock set expires_at = timestamp '2026-01-01' where session_id is not null"


@pytest.fixture
def warehouse(tmp_path: Path) -> BigQueryWarehouse:
    return build_warehouse(tmp_path)


def read(warehouse: BigQueryWarehouse, sql: str) -> pl.DataFrame:
    with warehouse.reading() as session:
        return session.read(sql)


@pytest.mark.parametrize(
    ("sql", "dtype", "value"),
    [
        ("numeric '12345.678'", pl.Float64, 12345.678),
        ("9007199254740993", pl.Int64, 9007199254740993),
        ("true", pl.Boolean, True),
        ("json '{\"a\":1}'", pl.String, '{"a":1}'),
        ("date '2026-01-01'", pl.Date, dt.date(2026, 1, 1)),
        ("datetime '2026-01-01 01:00:00'", pl.Datetime("us"), dt.datetime(2026, 1, 1, 1)),  # noqa: DTZ001 - it has no zone
        ("timestamp '2026-01-01 01:00:00+01:00'", UTC, DAY),
        ("cast(null as numeric)", pl.Float64, None),
        ("cast('inf' as float64)", pl.Float64, float("inf")),
    ],
)
def test_a_type_comes_as_what_it_is(warehouse: BigQueryWarehouse, sql: str, dtype: pl.DataType, value: object) -> None:
    (column,) = read(warehouse, f"select {sql} as x").get_columns()
    assert (column.dtype, column.to_list()) == (dtype, [value])


def test_tables_are_partitioned_by_day_and_clustered(warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    (made,) = [sql for sql in find_jobs(warehouse) if sql.startswith("create table if not exists `metrics` ")]
    assert made.endswith("partition by date(metric_timestamp) cluster by metric_batch, metric_type, metric_name")


def test_each_write_names_the_days_that_it_touches(warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0), (DAY + dt.timedelta(days=1), "m", 1.0)))
    (deleted,) = [sql for sql in find_jobs(warehouse) if sql.startswith("delete from `metrics`")]
    bounds = re.findall(r"t\.metric_timestamp (.=) .{0,20}'(2026-01-0\d) 00:00:00", deleted)
    assert bounds == [(">=", "2026-01-01"), ("<=", "2026-01-02")]


def test_a_table_with_other_types_is_refused_with_what_helps(warehouse: BigQueryWarehouse) -> None:
    columns = "metric_batch string, metric_name string, metric_type string, metric_value float64, metadata string"
    run_raw(warehouse, [f"create table metrics (metric_timestamp timestamp, {columns})".replace("timestamp,", "datetime,", 1)])
    with pytest.raises(WarehouseError, match=r"metric_timestamp of table 'metrics' is DATETIME.*timestamp\(`metric_timestamp`\)"):
        read_all(warehouse)


def test_of_writers_at_once_one_waits_and_none_inserts_twice(warehouse: BigQueryWarehouse) -> None:
    with warehouse.writing() as session:
        session.ensure_table(ALERTS, "metrics_alerts")
    counts: list[int] = []

    def insert(wait: Callable[[], object]) -> None:
        wait()
        with warehouse.writing() as session:
            counts.append(session.insert_missing(ALERTS, "metrics_alerts", build_alert("a")))

    assert run_at_once(3, insert) == []
    assert sorted(counts) == [0, 0, 1]
    assert read_all(warehouse, ALERTS, "metrics_alerts").height == 1


def test_a_writer_that_waits_too_long_is_busy(tmp_path: Path, warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    hasty = build_warehouse(tmp_path, 0.3)
    with warehouse.writing() as first:
        first.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        with pytest.raises(WarehouseBusyError, match="another session wrote the same tables"), hasty.writing() as second:
            second.read_table(OBSERVATIONS, "metrics")
        assert read_values(warehouse) == [(DAY, "m", 1.0)]
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


@contextmanager
def run_writer(folder: Path, value: float, lease_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has written a row and not committed it; it commits at a line of input."""
    command = [sys.executable, "-m", "tests.services.programs.bigquery_writer", str(folder), str(value), str(lease_seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "written\n"
            yield writer
        finally:
            writer.kill()


def test_a_writer_that_was_killed_is_ended_by_the_next_one(tmp_path: Path, warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with run_writer(tmp_path, 2.0, lease_seconds=3.0) as writer:
        writer.kill()
        fill(warehouse, build_rows((DAY, "n", 3.0)))
    assert read_values(warehouse) == [(DAY, "m", 1.0), (DAY, "n", 3.0)]


def test_a_killed_writer_is_ended_by_one_that_was_told_not_to_wait_for_the_next(tmp_path: Path, warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    hasty = build_warehouse(tmp_path, 0.1)
    with run_writer(tmp_path, 2.0, lease_seconds=60.0) as writer:
        writer.kill()
        with pytest.raises(WarehouseBusyError, match="another session wrote the same tables"):
            fill(hasty, build_rows((DAY, "m", 3.0)))
    run_raw(warehouse, [LATER])
    fill(hasty, build_rows((DAY, "m", 3.0)))
    assert read_values(warehouse) == [(DAY, "m", 3.0)]


def test_a_slow_writer_that_lives_keeps_the_lock(tmp_path: Path, warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with run_writer(tmp_path, 2.0, lease_seconds=2.0) as writer:
        with pytest.raises(WarehouseBusyError, match="another session wrote the same tables"):
            fill(build_warehouse(tmp_path, 5.0), build_rows((DAY, "m", 3.0)))
        said, _ = writer.communicate("\n")
    assert said == "committed\n"
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_writer_that_lost_the_lock_cannot_commit(tmp_path: Path, warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with run_writer(tmp_path, 2.0, lease_seconds=2.0) as writer:
        writer.send_signal(signal.SIGSTOP)
        fill(warehouse, build_rows((DAY, "m", 3.0)))
        writer.send_signal(signal.SIGCONT)
        said, _ = writer.communicate("\n")
    assert re.match("WarehouseBusyError .*silent for longer than 2 s.*run again", said)
    assert read_values(warehouse) == [(DAY, "m", 3.0)]


def test_leases_that_ran_out_are_removed(tmp_path: Path) -> None:
    warehouse = build_warehouse(tmp_path)
    for value in range(3):
        fill(warehouse, build_rows((DAY, "m", float(value))))
        run_raw(warehouse, [LATER])
    fill(warehouse, build_rows((DAY, "m", 9.0)))
    assert run_raw(warehouse, ["select count(*), countif(session_id is null) from metrics_lock"]) == [(2, 1)]


def test_columns_that_come_too_late_undo_the_session_and_are_there_the_next_time(warehouse: BigQueryWarehouse) -> None:
    run_raw(warehouse, ["create table metrics_alerts (alert_id text, metric_batch text)"])
    fill(warehouse, build_rows((DAY, "m", 1.0)))

    def write(value: float) -> None:
        with warehouse.writing() as session:
            session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", value)))
            session.upsert(ALERTS, "metrics_alerts", build_alert("a", status="open"))

    with pytest.raises(Transient, match=r"was given the columns .*run again"):
        write(2.0)
    assert read_values(warehouse) == [(DAY, "m", 1.0)]
    write(3.0)
    assert read_values(warehouse) == [(DAY, "m", 3.0)]
    assert read_all(warehouse, ALERTS, "metrics_alerts")["status"].to_list() == ["open"]


def test_what_a_write_needs_beside_its_rows_does_not_grow_with_them(warehouse: BigQueryWarehouse) -> None:
    few, many = build_many(30_000), build_many(150_000)
    fill(warehouse, few)
    peaks = [measure_peak(lambda rows=rows: fill(warehouse, rows)) for rows in (few, many)]
    assert peaks[1] < peaks[0] + 60_000_000  # copies of the rows take 40
    assert len([sql for sql in find_jobs(warehouse) if sql.startswith("insert into `metrics`")]) >= 5
    assert read_all(warehouse)["metric_value"].sum() == many["metric_value"].sum()


def test_a_service_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    nobody = build_warehouse(tmp_path, endpoint=f"http://127.0.0.1:{find_free_port()}", request_timeout_seconds=2)
    with pytest.raises(WarehouseUnavailableError, match="cannot be reached"):
        read(nobody, "select 1 as x")


def test_jobs_carry_labels_and_limits(tmp_path: Path) -> None:
    warehouse = build_warehouse(tmp_path, labels={"team": "data"}, maximum_bytes_billed=20_000_000, statement_timeout_seconds=30)
    read(warehouse, "select 1 as x")
    configurations = find_configurations(warehouse)
    assert {(found["labels"]["team"], found["query"]["maximumBytesBilled"], found["jobTimeoutMs"]) for found in configurations} == {
        ("data", "20000000", "30000")
    }
