"""What only ClickHouse does: its types, its changes without transactions, writers that die, what a wrong table is told."""

from __future__ import annotations

import datetime as dt
import os
import signal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from anomflow.frames import ALERTS, DELIVERIES, OBSERVATIONS, UTC
from tests.apart import read_ledger
from tests.conformance.rows import DAY, build_alert, build_rows, fill, read_all, read_values
from tests.services.engines.clickhouse import build_warehouse, run_raw
from tests.services.service import find_free_port
from tests.services.test_chain import JOBS, count_judged, processes, run_mortal
from tests.world import HOUR, START, at, series

if TYPE_CHECKING:
    from pathlib import Path

    from blocks.warehouses.clickhouse import ClickHouseWarehouse
    from tests.services.remote import RemoteWorld
    from tests.world import Mailbox

__all__ = ["processes"]
pytestmark = pytest.mark.services


@pytest.fixture
def warehouse(tmp_path: Path) -> ClickHouseWarehouse:
    return build_warehouse(tmp_path)


def read(warehouse: ClickHouseWarehouse, sql: str) -> pl.DataFrame:
    with warehouse.reading() as session:
        return session.read(sql)


def find_left(warehouse: ClickHouseWarehouse) -> list[Any]:
    return [name for (name,) in run_raw(warehouse, ["select name from system.tables where database = currentDatabase() order by name"])]


@pytest.mark.parametrize(
    ("sql", "dtype", "value"),
    [
        ("9007199254740993", pl.Int64, 9007199254740993),
        ("toUInt64(18446744073709551615)", pl.Float64, 2.0**64),
        ("toDecimal64('12345.678', 3)", pl.Float64, 12345.678),
        ("toDecimal256('12345.678', 3)", pl.Float64, 12345.678),
        ("true", pl.Boolean, True),
        ("cast('{\"a\":1}' as JSON)", pl.String, '{"a":1}'),
        ("toDate('2026-01-01')", pl.Date, dt.date(2026, 1, 1)),
        ("toStartOfHour(toDateTime('2026-01-01 01:10:00', 'Europe/Berlin'))", UTC, DAY),
        ("toDateTime64('2026-01-01 01:00:00', 3, 'Europe/Berlin')", UTC, DAY),
        ("cast(null as Nullable(DateTime))", UTC, None),
        ("cast(null as Nullable(Decimal(9, 2)))", pl.Float64, None),
        ("toLowCardinality('x')", pl.String, "x"),
        ("inf", pl.Float64, float("inf")),
    ],
)
def test_a_type_comes_as_what_it_is(warehouse: ClickHouseWarehouse, sql: str, dtype: pl.DataType, value: object) -> None:
    (column,) = read(warehouse, f"select {sql} as x -- with a comment").get_columns()
    assert (column.dtype, column.to_list()) == (dtype, [value])


@pytest.mark.parametrize("sql", ["cast('a' as Enum8('a' = 1))", "[1, 2]", "generateUUIDv4()", "toIPv4('1.2.3.4')", "toInt128(1)"])
def test_a_type_that_cannot_be_read_is_an_error_that_names_the_column(warehouse: ClickHouseWarehouse, sql: str) -> None:
    with pytest.raises(WarehouseError, match=r"column x is of a type that cannot be read .*toString\(x\)"):
        read(warehouse, f"select {sql} as x")


@pytest.mark.parametrize("place", ["url('http://127.0.0.1:1/x', 'CSV', 'a String')", "file('/etc/passwd', 'LineAsString')"])
def test_a_confined_session_reaches_no_files_and_no_network(warehouse: ClickHouseWarehouse, place: str) -> None:
    with warehouse.reading() as session:
        session.confine()
        with pytest.raises(WarehouseError, match=r"(?i)readonly mode"):
            session.read(f"select * from {place}")


def test_tables_are_partitioned_by_year_and_ordered_by_key(warehouse: ClickHouseWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    query = "select partition_key, sorting_key from system.tables where database = currentDatabase() and name = 'metrics'"
    found = run_raw(warehouse, [query])
    assert found == [("toYear(metric_timestamp)", "metric_batch, metric_type, metric_name, metric_timestamp")]


def test_many_years_come_at_once(warehouse: ClickHouseWarehouse) -> None:
    fill(warehouse, build_rows(*((DAY.replace(year=1900 + year), "m", 1.0) for year in range(150))))
    assert read_all(warehouse).height == 150


def test_anomstacks_own_table_is_read_and_written_after_one_change(warehouse: ClickHouseWarehouse) -> None:
    kinds = "metric_batch String not null, metric_name String not null, metric_type String not null, metric_value Float64 not null"
    table = f"create table metrics (metric_timestamp DateTime not null, {kinds}) engine = MergeTree order by tuple()"
    run_raw(warehouse, [table, "insert into metrics values ('2026-01-01 00:00:00', 'b', 'm', 'metric', 1)"])
    assert read_values(warehouse) == [(DAY, "m", 1.0)]
    with pytest.raises(WarehouseError, match=r"column metric_value .* is Float64, where values do not come back") as caught:
        fill(warehouse, build_rows((DAY, "m", None)))
    run_raw(warehouse, [str(caught.value).partition("Change it: ")[2]])
    fill(warehouse, build_rows((DAY, "m", None)))
    assert read_values(warehouse) == [(DAY, "m", None)]
    with pytest.raises(WarehouseError, match="holds whole seconds from 1970 to 2106"):
        fill(warehouse, build_rows((DAY.replace(microsecond=1), "m", 1.0)))


def test_a_session_sees_its_own_changes_and_others_do_not(warehouse: ClickHouseWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        for table in (ALERTS, DELIVERIES):
            session.ensure_table(table, table.name("metrics"))
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        session.insert_missing(ALERTS, "metrics_alerts", build_alert("a", status="open", message_id="x"))
        unresolved = "not exists (select 1 from metrics_alerts where message_id = 'x' and status <> 'resolved')"
        assert session.execute(f"update metrics set metadata = 'told' where {unresolved}") == 0
        assert session.execute("update metrics_alerts set status = 'resolved', reason = status where alert_id = 'a'") == 1
        assert session.execute(f"update metrics set metadata = 'told' where {unresolved}") == 1
        assert session.read("select m.metric_value, m.metadata from metrics as m").rows() == [(2.0, "told")]
        assert read_values(warehouse) == [(DAY, "m", 1.0)]
    assert read_values(warehouse) == [(DAY, "m", 2.0)]
    assert read_all(warehouse, ALERTS, "metrics_alerts").select("status", "reason").rows() == [("resolved", "open")]
    assert find_left(warehouse) == ["metrics", "metrics_alerts", "metrics_deliveries", "metrics_lock"]


def test_of_duplicates_only_the_row_that_is_meant_is_changed(warehouse: ClickHouseWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    run_raw(warehouse, ["insert into metrics select * replace (2.0 as metric_value) from metrics"])
    with warehouse.writing() as session:
        assert session.execute("update metrics set metadata = 'x' where metric_value = 1") == 1
    assert read_all(warehouse).select("metric_value", "metadata").rows() == [(1.0, "x"), (2.0, None)]
    with warehouse.writing() as session:
        assert session.execute("delete from metrics where metric_value = 2") == 1
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_a_writer_that_gives_no_sign_of_life_is_waited_for_and_then_undone(tmp_path: Path, warehouse: ClickHouseWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    frozen = build_warehouse(tmp_path, lease_seconds=2)
    with pytest.raises(WarehouseBusyError, match="no sign of life"), frozen.writing() as session:  # noqa: PT012 - a session is the case
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        fill(warehouse, build_rows((DAY, "m", 3.0)))
        assert not [name for name in find_left(warehouse) if "pending" in name]
    assert read_values(warehouse) == [(DAY, "m", 3.0)]


def test_a_writer_that_waits_too_long_is_busy(tmp_path: Path, warehouse: ClickHouseWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as first:
        first.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        with pytest.raises(WarehouseBusyError, match="another session wrote the same tables"):
            fill(build_warehouse(tmp_path, 0.3), build_rows((DAY, "m", 3.0)))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_commit_that_was_cut_off_is_carried_out_by_the_next_that_writes(warehouse: ClickHouseWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        session.ensure_table(ALERTS, "metrics_alerts")
    with pytest.raises(WarehouseError, match="metrics_alerts"), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        session.insert_missing(ALERTS, "metrics_alerts", build_alert("a"))
        run_raw(warehouse, ["rename table metrics_alerts to away"])
    run_raw(warehouse, ["rename table away to metrics_alerts"])
    with warehouse.writing() as session:
        assert session.read_table(ALERTS, "metrics_alerts")["alert_id"].to_list() == ["a"]
    assert read_values(warehouse) == [(DAY, "m", 2.0)]
    assert find_left(warehouse) == ["metrics", "metrics_alerts", "metrics_lock"]


def test_columns_are_added_to_a_table_that_this_session_changed(warehouse: ClickHouseWarehouse) -> None:
    run_raw(warehouse, ["create table metrics_alerts (alert_id String not null, metric_batch text) engine = MergeTree order by alert_id"])
    with warehouse.writing() as session:
        session.insert_missing(ALERTS, "metrics_alerts", build_alert("a", metric_batch="b"))
        session.insert_missing(ALERTS, "metrics_alerts", build_alert("b", status="open"))
    found = read_all(warehouse, ALERTS, "metrics_alerts").sort("alert_id")
    assert found.select("alert_id", "metric_batch", "status").rows() == [("a", "b", None), ("b", None, "open")]


def test_a_service_that_does_not_answer_is_transient_and_a_wrong_password_is_not(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnavailableError, match="cannot be reached"):
        read(build_warehouse(tmp_path, port=find_free_port(), connect_timeout_seconds=2), "select 1")
    with pytest.raises(WarehouseError, match=r"refused the connection.*password is incorrect") as caught:
        read(build_warehouse(tmp_path, password="another secret"), "select 1")
    assert not isinstance(caught.value, WarehouseUnavailableError)
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_statement_ends_with_its_time_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="raise statement_timeout_seconds"):
        read(build_warehouse(tmp_path, statement_timeout_seconds=0.3), "select sum(sleepEachRow(0.05)) from numbers(40)")


def configure_ledger_apart(world: RemoteWorld) -> None:
    world.configure("ledger_db: sqlite\nalert_methods: [email]\n")
    world.put(series("orders", 330, spikes=[327]))


def test_an_anomaly_is_told_once_from_a_ledger_in_a_sqlite_file(world: RemoteWorld, mailbox: Mailbox) -> None:
    configure_ledger_apart(world)
    world.run(*JOBS, as_of=at(329))
    world.run(*JOBS, "change", as_of=at(329))
    assert len(mailbox.mails) == 1
    assert count_judged(world) == (330, 330)
    assert find_left(world.warehouse) == ["metrics", "metrics_lock", "metrics_models"]
    assert read_ledger(world.folder, "_deliveries")["state"].to_list() == ["sent"]
    assert read_ledger(world.folder, "_alerts").filter(metric_timestamp=START + 327 * HOUR)["status"].to_list() == ["open"]


def test_a_run_killed_between_the_commits_of_its_two_databases_loses_nothing_and_tells_once(
    world: RemoteWorld, mailbox: Mailbox, processes: Any
) -> None:
    configure_ledger_apart(world)
    world.run("ingest", "train", as_of=at(329))
    environ = {key: value for key, value in os.environ.items() if key.startswith("ANOMFLOW_")}
    # The tables are ensured by four effects; scores and alerts are written by the next four, the second of which commits the ledger.
    child = processes.Process(target=run_mortal, args=(world.folder, environ, world.kind, 5, ("score",)))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    recorded = read_ledger(world.folder, "_alerts")
    assert recorded.filter(metric_timestamp=START + 327 * HOUR).height == 1
    assert count_judged(world) == (330, 0)
    world.run(*JOBS, as_of=at(329.5))
    assert read_ledger(world.folder, "_alerts")["alert_id"].to_list() == recorded["alert_id"].to_list()
    assert count_judged(world) == (330, 330)
    assert len(mailbox.mails) == 1
