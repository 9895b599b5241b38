from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from anomflow.errors import WarehouseError
from anomflow.frames import OBSERVATIONS
from blocks.warehouses.sqlite import SQLiteWarehouse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def warehouse(tmp_path: Path) -> SQLiteWarehouse:
    return SQLiteWarehouse(path=str(tmp_path / "x.sqlite"), lock_timeout_seconds=1)


def test_times_are_stored_as_one_canonical_text(warehouse: SQLiteWarehouse) -> None:
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
        session.execute("insert into metrics values ('2026-01-01 00:00:00.000001', 'b', 'm', 'metric', 1, null)")
        rows = session.read_table(OBSERVATIONS, "metrics")
        session.upsert(OBSERVATIONS, "metrics", rows)
    with closing(sqlite3.connect(warehouse.file)) as own:
        assert own.execute("select metric_timestamp from metrics").fetchall() == [("2026-01-01 00:00:00.000001",)]


def test_a_table_of_ours_refuses_another_form_of_time(warehouse: SQLiteWarehouse) -> None:
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
    with pytest.raises(WarehouseError, match="CHECK constraint failed"), warehouse.writing() as session:
        session.execute("insert into metrics values ('2026-01-01T00:00:00', 'b', 'm', 'metric', 1, null)")


def test_a_time_that_cannot_be_read_is_left_as_it_is(warehouse: SQLiteWarehouse) -> None:
    with closing(sqlite3.connect(warehouse.file)) as own, own:
        own.execute("create table metrics (metric_timestamp, metric_batch, metric_name, metric_type, metric_value, metadata)")
        own.executemany("insert into metrics values (?, 'b', 'm', 'metric', 1, null)", [("yesterday",), ("2026-01-01",), (None,)])
    with warehouse.writing() as session:
        rows = session.read_table(OBSERVATIONS, "metrics")
    assert [str(moment) for moment in rows["metric_timestamp"]] == ["None", "2026-01-01 00:00:00+00:00", "None"]
    with closing(sqlite3.connect(warehouse.file)) as own:
        assert [row[0] for row in own.execute("select metric_timestamp from metrics")] == ["yesterday", "2026-01-01 00:00:00.000000", None]


def test_a_column_that_changes_its_type_after_a_thousand_rows_is_read(warehouse: SQLiteWarehouse) -> None:
    counting = "with recursive c(i) as (select 1 union all select i + 1 from c where i < 3000)"
    with warehouse.reading() as session:
        found = session.read(f"{counting} select case when i < 2000 then null when i < 2500 then 1 else 0.1 end as v from c")["v"]
    assert (found.null_count(), found[2000], found[2999]) == (1999, 1.0, 0.1)


def test_numbers_among_texts_keep_all_their_digits(warehouse: SQLiteWarehouse) -> None:
    with warehouse.reading() as session:
        found = session.read("select 1.2345678901234567 as v union all select 'n/a' union all select 1e300 union all select null;")["v"]
    assert [found[0], found[1], found[3]] == ["1.2345678901234567", "n/a", None]
    assert float(found[2]) == 1e300


@pytest.mark.parametrize("sql", ["select 1; select 2", "select ';'; drop table x"])
def test_several_statements_are_refused_not_half_run(warehouse: SQLiteWarehouse, sql: str) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match="several statements"):
        session.read(sql)


@pytest.mark.parametrize("sql", ["select ';' as x;", "select ';' as x -- a; b\n ; ", "select ';' as x /* ; */"])
def test_a_semicolon_in_text_or_at_the_end_is_fine(warehouse: SQLiteWarehouse, sql: str) -> None:
    with warehouse.reading() as session:
        assert session.read(sql)["x"].to_list() == [";"]


def test_a_reader_goes_on_while_a_writer_is_open(warehouse: SQLiteWarehouse) -> None:
    with warehouse.writing() as session:
        session.execute("create table t (x integer)")
    with warehouse.writing() as writer:
        writer.execute("insert into t values (1)")
        with warehouse.reading() as reader:
            assert reader.read("select count(*) as n from t")["n"].to_list() == [0]


def test_an_existing_file_keeps_its_journal_mode_and_an_empty_one_is_an_empty_database(warehouse: SQLiteWarehouse) -> None:
    warehouse.file.touch()
    with warehouse.writing() as session:
        session.execute("create table t (x integer)")
    with closing(sqlite3.connect(warehouse.file)) as own:
        assert own.execute("pragma journal_mode").fetchall() == [("delete",)]
