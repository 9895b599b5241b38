from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from anomflow.errors import WarehouseBusyError, WarehouseError
from anomflow.frames import OBSERVATIONS, UTC
from blocks.warehouses.duckdb import DuckDBWarehouse
from tests.conformance.rows import build_many, fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    warehouse = DuckDBWarehouse(path=str(tmp_path / "x.duckdb"), lock_timeout_seconds=0.2)
    with warehouse.writing() as session:
        session.execute("create table numbers as select 1 as n")
    return warehouse


def test_a_connection_of_the_same_process_is_joined_for_reading_and_sees_its_rows(warehouse: DuckDBWarehouse) -> None:
    with duckdb.connect(str(warehouse.file)) as own:
        own.execute("insert into numbers values (2)")
        with warehouse.reading() as session:
            assert session.read("select n from numbers order by n")["n"].to_list() == [1, 2]
            with pytest.raises(WarehouseError, match="read-only"):
                session.read("insert into numbers values (3)")
        with warehouse.writing() as session:
            session.execute("insert into numbers values (3)")
        assert own.execute("select max(n) from numbers").fetchall() == [(3,)]


def test_a_read_only_connection_of_the_same_process_holds_off_a_writer(warehouse: DuckDBWarehouse) -> None:
    with (
        duckdb.connect(str(warehouse.file), read_only=True),
        pytest.raises(WarehouseBusyError, match="this process with other settings"),
        warehouse.writing(),
    ):
        pass


@pytest.mark.parametrize(("outer", "inner"), [("reading", "writing"), ("writing", "reading"), ("writing", "writing")])
def test_a_session_that_would_wait_for_its_own_thread_says_so_at_once(warehouse: DuckDBWarehouse, outer: str, inner: str) -> None:
    with (
        getattr(warehouse, outer)(),
        pytest.raises(WarehouseError, match="this thread has a session open already"),
        getattr(warehouse, inner)(),
    ):
        pass
    with warehouse.writing():
        pass


def test_what_a_killed_process_had_committed_is_read_and_what_it_had_not_is_not(warehouse: DuckDBWarehouse) -> None:
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('insert into numbers values (2)'); "
        "c.execute('begin'); c.execute('insert into numbers values (3)'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(warehouse.file)], check=False)
    assert (warehouse.file.parent / "x.duckdb.wal").exists()
    with warehouse.reading() as session:
        assert session.read("select n from numbers")["n"].to_list() == [1, 2]


def test_times_with_a_zone_are_utc_whatever_the_machine_is_set_to(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    with warehouse.reading() as session:
        found = session.read(
            "select timestamptz '2026-01-01 00:00:00+00' as zoned, timestamp_ns '2026-01-01 00:00:00' as naive, today() as day"
        )
    assert found.schema["zoned"] == UTC
    assert str(found.schema["naive"]) == "Datetime(time_unit='us', time_zone=None)"
    assert str(found["zoned"][0]) == "2026-01-01 00:00:00+00:00"


def test_an_interval_is_a_clear_error(warehouse: DuckDBWarehouse) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match="column age is an interval"):
        session.read("select interval 1 day as age")


def test_an_empty_file_is_no_database_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").touch()
    with (
        pytest.raises(WarehouseError, match=r"not a duckdb database \(it is empty\)"),
        DuckDBWarehouse(path=str(tmp_path / "x.duckdb")).reading(),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["x.duckdb"]


def test_a_query_that_needs_more_memory_than_readers_get_is_answered_all_the_same(warehouse: DuckDBWarehouse) -> None:
    with warehouse.reading() as session:
        rows = session.read("select n, repeat(n::varchar, 10) as filler from range(2000000) as t(n) order by hash(n), n limit 1500000")
        assert rows.height == 1_500_000
        assert session.read("select n from numbers")["n"].to_list() == [1]
        with pytest.raises(WarehouseError, match="read-only"):
            session.read("insert into numbers values (3)")


def test_rows_come_and_go_without_the_weight_of_pandas_and_pyarrow(warehouse: DuckDBWarehouse) -> None:
    script = (
        "import sys, datetime, polars as pl\n"
        "from anomflow.frames import OBSERVATIONS\n"
        "from blocks.warehouses.duckdb import DuckDBWarehouse\n"
        f"warehouse = DuckDBWarehouse(path={str(warehouse.file)!r})\n"
        "moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)\n"
        "row = {'metric_timestamp': [moment], 'metric_batch': ['b'], 'metric_name': ['n'], 'metric_type': ['metric'],"
        " 'metric_value': [1.0], 'metadata': [None]}\n"
        "with warehouse.writing() as session:\n"
        "    session.ensure_table(OBSERVATIONS, 'metrics')\n"
        "    session.upsert(OBSERVATIONS, 'metrics', pl.DataFrame(row, schema=OBSERVATIONS.columns))\n"
        "with warehouse.reading() as session:\n"
        "    assert session.read('select * from metrics').height == 1\n"
        "print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_rows_come_from_old_to_new_though_nothing_is_sorted(warehouse: DuckDBWarehouse) -> None:
    rows = build_many(200_000)  # some row groups, each of which a thread may read
    again = rows.filter(pl.int_range(pl.len()) % 3 == 0).with_columns(metric_value=-pl.col("metric_value"))
    fill(warehouse, rows)
    fill(warehouse, again)
    chosen = "metric_name in ('metric 3', 'metric 4')"
    with warehouse.reading() as session:
        for where in ("true", chosen):
            expected = session.read(f"select metric_value from metrics where {where} order by rowid")["metric_value"]
            assert session.read_table(OBSERVATIONS, "metrics", where)["metric_value"].equals(expected)
