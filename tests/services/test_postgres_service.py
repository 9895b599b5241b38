"""What only PostgreSQL does: its types, roles, locks, time-outs, lost connections."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from anomflow.errors import Transient, WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from anomflow.frames import ALERTS, OBSERVATIONS, UTC
from blocks.warehouses.postgres import PostgresWarehouse
from tests.conformance.rows import DAY, build_alert, build_many, build_rows, fill, read_all, read_values
from tests.services.deployed import wait_for
from tests.services.engines.postgres import PASSWORD, ROLE, build_warehouse, run_as_superuser, run_raw

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.services


@pytest.fixture
def warehouse(tmp_path: Path) -> PostgresWarehouse:
    return build_warehouse(tmp_path)


def read(warehouse: PostgresWarehouse, sql: str) -> pl.DataFrame:
    with warehouse.reading() as session:
        return session.read(sql)


@pytest.mark.parametrize(
    ("sql", "dtype", "value"),
    [
        ("12345.678::numeric(12, 3)", pl.Float64, 12345.678),
        ("9007199254740993::bigint", pl.Int64, 9007199254740993),
        ("7::smallint", pl.Int16, 7),
        ("true", pl.Boolean, True),
        ("'{\"a\": 1}'::json", pl.String, '{"a": 1}'),
        ("'{\"a\":1}'::jsonb", pl.String, '{"a": 1}'),
        ("date '2026-01-01'", pl.Date, dt.date(2026, 1, 1)),
        ("timestamp '2026-01-01 01:00'", pl.Datetime("us"), dt.datetime(2026, 1, 1, 1)),  # noqa: DTZ001 - it has no zone
        ("timestamptz '2026-01-01 01:00+01'", UTC, DAY),
        ("timestamptz 'infinity'", UTC, None),
        ("timestamptz '-infinity'", UTC, None),
        ("'x'::varchar(3)", pl.String, "x"),
        ("null::numeric", pl.Float64, None),
    ],
)
def test_a_type_comes_as_what_it_is(warehouse: PostgresWarehouse, sql: str, dtype: pl.DataType, value: object) -> None:
    (column,) = read(warehouse, f"select {sql} as x").get_columns()
    assert (column.dtype, column.to_list()) == (dtype, [value])


def test_not_a_number_and_infinity_are_numbers_of_a_query(warehouse: PostgresWarehouse) -> None:
    found = read(warehouse, "select 'NaN'::float8 as a, 'NaN'::numeric as b, 'Infinity'::numeric as c").row(0)
    assert [str(value) for value in found] == ["nan", "nan", "inf"]


@pytest.mark.parametrize("sql", ["interval '1 day'", "inet '1.2.3.4'", "point '(1,2)'"])
def test_a_type_that_cannot_be_read_is_named(warehouse: PostgresWarehouse, sql: str) -> None:
    with pytest.raises(WarehouseError, match=r"cannot be read.*cast it in the query"):
        read(warehouse, f"select {sql} as x")


@pytest.mark.parametrize("sql", ["show search_path", "-- how\nexplain select 1", "values (1)", "with x as (select 1) select * from x;"])
def test_whatever_returns_rows_is_read(warehouse: PostgresWarehouse, sql: str) -> None:
    assert read(warehouse, sql).height > 0


def test_reserved_words_and_capitals_are_names(warehouse: PostgresWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        session.execute(f"create table {session.identifier('Select')} ({session.identifier('Order')} integer)")
        session.execute(f"insert into {session.identifier('Select')} values (1)")
        assert session.read('select "Order" from "Select"')["Order"].to_list() == [1]


def test_a_name_that_would_be_cut_off_is_refused(warehouse: PostgresWarehouse) -> None:
    with warehouse.writing() as session, pytest.raises(WarehouseError, match="cuts names at 63 bytes"):
        session.ensure_table(OBSERVATIONS, "m" * 64)


@pytest.mark.parametrize(
    ("column", "kind", "advice"),
    [
        ("metadata", "jsonb", 'alter column "metadata" type text using "metadata"::text'),
        ("metric_value", "real", 'type double precision using "metric_value"'),
        ("metric_value", "numeric(10,2)", 'type double precision using "metric_value"'),
        ("metric_timestamp", "date", 'type timestamp with time zone using "metric_timestamp"'),
    ],
)
def test_a_column_that_would_change_values_is_refused_with_what_to_do(
    warehouse: PostgresWarehouse, column: str, kind: str, advice: str
) -> None:
    kinds = {"metric_timestamp": "timestamp", "metric_value": "double precision", "metadata": "text", column: kind}
    listed = ", ".join(f"{name} {kinds.get(name, 'text')}" for name in OBSERVATIONS.columns)
    run_raw(warehouse, [f"create table metrics ({listed})"])
    with pytest.raises(WarehouseError) as caught:
        fill(warehouse, build_rows((DAY, "m", 1.0)))
    assert advice in str(caught.value)
    run_raw(warehouse, [str(caught.value).split("Change it: ")[1]])
    fill(warehouse, build_rows((DAY, "m", 1.25, "{}")))
    assert read_values(warehouse) == [(DAY, "m", 1.25)]


def test_a_text_that_is_too_long_for_a_column_of_others_is_an_error_and_nothing_is_cut(warehouse: PostgresWarehouse) -> None:
    listed = "metric_timestamp timestamptz, metric_batch text, metric_name varchar(3), metric_type text, metric_value float8, metadata text"
    run_raw(warehouse, [f"create table metrics ({listed})"])
    with pytest.raises(WarehouseError, match="too long"):
        fill(warehouse, build_rows((DAY, "four", 1.0)))


def test_a_unique_index_of_others_keeps_keys_single_too(warehouse: PostgresWarehouse) -> None:
    listed = "metric_timestamp timestamptz, metric_batch text, metric_name text, metric_type text, metric_value float8, metadata text"
    key = "metric_name, metric_batch, metric_type, metric_timestamp"
    run_raw(warehouse, [f"create table metrics ({listed})", f"create unique index on metrics ({key})"])
    for value in (1.0, 2.0):
        fill(warehouse, build_rows((DAY, "m", value)))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_columns_in_another_order_get_their_own_values(warehouse: PostgresWarehouse) -> None:
    kinds = {"metric_timestamp": "timestamptz", "metric_value": "float8"}
    listed = ", ".join(f"{name} {kinds.get(name, 'text')}" for name in reversed(OBSERVATIONS.columns))
    run_raw(warehouse, [f"create table metrics ({listed}, primary key ({', '.join(OBSERVATIONS.key)}))"])
    fill(warehouse, build_rows((DAY, "m", 1.0, "{}"), (DAY, "n", 2.0)))
    fill(warehouse, build_rows((DAY, "n", 3.0)))
    assert read_values(warehouse) == [(DAY, "m", 1.0), (DAY, "n", 3.0)]


def test_a_partitioned_table_is_taken_over(warehouse: PostgresWarehouse) -> None:
    listed = "metric_timestamp timestamptz, metric_batch text, metric_name text, metric_type text, metric_value float8, metadata text"
    key = "primary key (metric_batch, metric_type, metric_timestamp, metric_name)"
    statement = f"create table metrics ({listed}, {key}) partition by range (metric_timestamp)"
    run_raw(warehouse, [statement, "create table metrics_all partition of metrics default"])
    for value in (1.0, 2.0):
        fill(warehouse, build_rows((DAY, "m", value)))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_role_that_may_only_use_existing_tables_can_work(warehouse: PostgresWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    schema, role = warehouse.schema_name, f"worker_{warehouse.schema_name}"
    run_as_superuser(f"create role {role} login password 'x'")
    run_as_superuser(f"grant usage on schema {schema} to {role}", ROLE)
    run_as_superuser(f"grant select, insert, update, delete on all tables in schema {schema} to {role}", ROLE)
    worker = warehouse.model_copy(update={"user": role, "password": type(warehouse.password)("x")})  # type: ignore[misc]
    fill(worker, build_rows((DAY, "m", 2.0)))
    assert read_values(worker) == [(DAY, "m", 2.0)]
    with pytest.raises(WarehouseError, match="permission denied"), worker.writing() as session:
        session.ensure_table(ALERTS, "metrics_alerts")


def test_a_schema_that_is_not_there_is_an_error_and_no_other_one_is_used(warehouse: PostgresWarehouse) -> None:
    lost = warehouse.model_copy(update={"schema_name": "nowhere"})
    with pytest.raises(WarehouseError, match="there is no schema 'nowhere'"):
        fill(lost, build_rows((DAY, "m", 1.0)))
    assert run_as_superuser("select 1 from pg_tables where schemaname = 'public'", ROLE) == []


@pytest.mark.parametrize(
    ("changed", "words", "is_transient"),
    [
        ({"password": "s-e-c-r-e-t"}, "password authentication failed", False),
        ({"database": "nowhere"}, 'database "nowhere" does not exist', False),
        ({"port": 1}, "cannot be reached", True),
        ({"host": "nowhere.invalid"}, "cannot be reached", True),
        ({"sslmode": "require"}, "does not support SSL", True),
        ({"options": {"nonsense": "s-e-c-r-e-t"}}, "does not understand", False),
    ],
)
def test_a_refused_connection_says_why_without_the_password(
    tmp_path: Path, changed: dict[str, Any], words: str, is_transient: bool
) -> None:
    with pytest.raises(WarehouseError, match=words) as caught:
        read(build_warehouse(tmp_path, **changed), "select 1")
    assert isinstance(caught.value, Transient) is is_transient
    chain = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__traceback__}"
    assert PASSWORD not in chain
    assert "s-e-c-r-e-t" not in chain


def test_a_uri_connects_too(warehouse: PostgresWarehouse) -> None:
    from urllib.parse import quote

    uri = f"postgresql://{ROLE}:{quote(PASSWORD, safe='')}@127.0.0.1:{warehouse.port}/{ROLE}"
    assert read(PostgresWarehouse(uri=uri, schema_name=warehouse.schema_name), "select current_user as u")["u"].to_list() == [ROLE]  # type: ignore[arg-type]


def test_a_statement_that_takes_too_long_is_ended(warehouse: PostgresWarehouse) -> None:
    impatient = warehouse.model_copy(update={"statement_timeout_seconds": 0.3})
    begun = time.monotonic()
    with pytest.raises(WarehouseError, match=r"longer than 0.3 s.*statement_timeout_seconds"):
        read(impatient, "select pg_sleep(60)::text as x")
    assert time.monotonic() - begun < 50


def test_a_writer_that_waits_too_long_is_a_busy_database(warehouse: PostgresWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    impatient = warehouse.model_copy(update={"lock_timeout_seconds": 0.3})
    with warehouse.writing() as session:
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        with pytest.raises(WarehouseBusyError, match=r"longer than 0.3 s.*lock_timeout_seconds"):
            fill(impatient, build_rows((DAY, "m", 3.0)))
        assert read_values(warehouse) == [(DAY, "m", 1.0)]  # readers wait for nobody
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_writers_of_another_table_key_do_not_wait(warehouse: PostgresWarehouse) -> None:
    impatient = warehouse.model_copy(update={"lock_timeout_seconds": 0.3})
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
        with impatient.writing() as other:
            other.ensure_table(OBSERVATIONS, "others")


def test_what_a_writer_read_stays_true_until_it_commits(warehouse: PostgresWarehouse) -> None:
    with warehouse.writing() as session:
        session.ensure_table(ALERTS, "metrics_alerts")
        session.insert_missing(ALERTS, "metrics_alerts", build_alert("a", status="0"))

    def count_up() -> None:
        with warehouse.writing() as session:
            found = int(session.read_table(ALERTS, "metrics_alerts")["status"][0])
            session.upsert(ALERTS, "metrics_alerts", build_alert("a", status=str(found + 1)))

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_all(warehouse, ALERTS, "metrics_alerts")["status"].to_list() == ["8"]


def end_sessions(warehouse: PostgresWarehouse) -> None:
    run_as_superuser("select pg_terminate_backend(pid)::text from pg_stat_activity where application_name = 'anomflow'")


def end_sleeping_sessions(warehouse: PostgresWarehouse) -> None:
    asleep = "select 1 from pg_stat_activity where application_name = 'anomflow' and wait_event = 'PgSleep'"
    wait_for(lambda: run_as_superuser(asleep), 120)
    end_sessions(warehouse)


def test_a_lost_connection_is_transient_and_undoes_the_session(warehouse: PostgresWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(WarehouseUnavailableError, match="was lost"), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        end_sessions(warehouse)
        session.read("select 1 as x")
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_a_connection_lost_while_rows_come_is_transient(warehouse: PostgresWarehouse) -> None:
    ending = threading.Thread(target=end_sleeping_sessions, args=(warehouse,))
    ending.start()
    with pytest.raises(WarehouseUnavailableError, match="was lost"):
        read(warehouse, "select pg_sleep(150)::text as x")
    ending.join()


def test_nothing_is_written_after_a_failed_statement_whose_error_was_caught(warehouse: PostgresWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(WarehouseError, match="all of it was undone"))
        session = stack.enter_context(warehouse.writing())
        with pytest.raises(WarehouseError, match="division by zero"):
            session.read("select 1 / (metric_value - 1)::integer as x from metrics")
        with pytest.raises(WarehouseError, match="aborted"):
            session.execute("delete from metrics")
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_no_connection_is_left_behind(warehouse: PostgresWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    read_all(warehouse)
    with pytest.raises(WarehouseError):
        read(warehouse, "selec 1")
    with pytest.raises(ZeroDivisionError), warehouse.writing():
        raise ZeroDivisionError
    (count,) = run_as_superuser("select count(*) from pg_stat_activity where application_name = 'anomflow'")[0]
    assert count == 0


def write_and_read_a_million(folder: Path, passed: Any) -> None:
    import resource

    warehouse = build_warehouse(folder)
    count = 1_000_000
    rows = build_many(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2):
        fill(warehouse, rows)
        assert read_all(warehouse)["metric_value"].sum() == count * (count - 1) / 2
    passed.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def test_a_million_rows_go_in_and_out_in_less_than_500_megabytes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    passed = context.Queue()
    child = context.Process(target=write_and_read_a_million, args=(tmp_path, passed))
    child.start()
    child.join(550)
    assert child.exitcode == 0
    assert passed.get(timeout=10) < 500
