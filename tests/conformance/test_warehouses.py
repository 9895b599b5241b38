"""What every warehouse must do, on each engine that discovery finds."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomflow.errors import FrameError, WarehouseBusyError, WarehouseError
from anomflow.frames import ALERTS, OBSERVATIONS, TABLES, UTC, Table
from blocks import warehouses
from blocks.discovery import find_kinds
from tests.conformance.engines import ENGINES, Engine
from tests.conformance.limits import limit_file_size, obey_permissions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.protocols import Session
    from blocks.warehouses.files import FileWarehouse

DAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ROOT = Path(__file__).parents[2]
HOSTILE = ["a'; drop table metrics; --", 'say "hi"', "a/b\n", "ü 東京 🦆", "back\\slash", " ", "%s ? :x {y}", "'", "null", "-- x", "/* x"]

pytestmark = pytest.mark.parametrize("engine", [pytest.param(engine, id=kind) for kind, engine in ENGINES.items()])


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> FileWarehouse:
    return engine.build(tmp_path, 20.0)


def build_rows(*rows: tuple[object, ...], kind: str = "metric") -> pl.DataFrame:
    """Make OBSERVATIONS rows of (time, name, value) or (time, name, value, metadata)."""
    full = [(moment, "b", name, kind, value, *(rest or [None])) for moment, name, value, *rest in rows]
    return pl.DataFrame(full, schema=OBSERVATIONS.columns, orient="row")


def build_alert(alert_id: str, **columns: object) -> pl.DataFrame:
    return pl.DataFrame([{"alert_id": alert_id, **columns}], schema=ALERTS.columns)


def fill(warehouse: FileWarehouse, rows: pl.DataFrame) -> None:
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
        session.upsert(OBSERVATIONS, "metrics", rows)


def read_all(warehouse: FileWarehouse, table: Table = OBSERVATIONS, name: str = "metrics") -> pl.DataFrame:
    with warehouse.reading() as session:
        return session.read_table(table, name)


def read_values(warehouse: FileWarehouse) -> list[tuple[object, ...]]:
    rows = read_all(warehouse).sort("metric_name", "metric_timestamp")
    return rows.select("metric_timestamp", "metric_name", "metric_value").rows()


@pytest.fixture
def holder(engine: Engine, warehouse: FileWarehouse) -> Iterator[subprocess.Popen[str]]:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    command = [sys.executable, "-c", engine.holder, str(warehouse.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_every_engine_that_is_found_is_tested(engine: Engine) -> None:
    assert find_kinds(warehouses).keys() == ENGINES.keys()


def test_tables_are_made_once_with_their_columns_and_types(engine: Engine, warehouse: FileWarehouse) -> None:
    for _ in range(2):
        with warehouse.writing() as session:
            for table in TABLES:
                session.ensure_table(table, table.name("metrics"))
    for table in TABLES:
        assert read_all(warehouse, table, table.name("metrics")).schema == table.columns


def test_columns_that_a_table_lacks_are_added_once_and_empty(engine: Engine, warehouse: FileWarehouse) -> None:
    earlier = Table("", {name: kind for name, kind in OBSERVATIONS.columns.items() if name != "metadata"}, OBSERVATIONS.key)
    with warehouse.writing() as session:
        session.ensure_table(earlier, "metrics")
        session.upsert(earlier, "metrics", build_rows((DAY, "m", 1.0)).drop("metadata"))
        assert session.find_missing(OBSERVATIONS, "metrics") == ["metadata"]
        for _ in range(2):
            session.ensure_columns(OBSERVATIONS, "metrics")
        assert session.find_missing(OBSERVATIONS, "metrics") == []
    fill(warehouse, build_rows((DAY.replace(year=2025), "m", 2.0, "{}")))
    assert read_all(warehouse).sort("metric_value")["metadata"].to_list() == [None, "{}"]


def test_rows_come_back_as_they_were_written(engine: Engine, warehouse: FileWarehouse) -> None:
    rows = build_rows(
        (DAY.replace(microsecond=1), "m", 0.1 + 0.2, '{"a": "ü\n\'"}'),
        (DAY.replace(year=1970), "m", 1e308),
        (DAY.replace(year=2999, microsecond=999999), "m", -5e-324),
        (DAY, "m", None),
    )
    fill(warehouse, rows)
    assert read_all(warehouse).equals(rows)


def test_numbers_that_are_not_finite_are_null(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows(*((DAY + dt.timedelta(hours=hour), "m", float(text)) for hour, text in enumerate(("nan", "inf", "-inf")))))
    assert read_all(warehouse)["metric_value"].to_list() == [None] * 3


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_only_text(engine: Engine, warehouse: FileWarehouse, name: str) -> None:
    fill(warehouse, build_rows((DAY, name, 1.0, name), (DAY, "other", 2.0)))
    with warehouse.writing() as session:
        where = f"metric_name = {session.literal(name)}"
        assert session.read_table(OBSERVATIONS, "metrics", where)["metadata"].to_list() == [name]
        assert session.execute(f"update metrics set metadata = {session.literal(name + name)} where {where}") == 1
        assert session.read_table(OBSERVATIONS, "metrics", where)["metadata"].to_list() == [name + name]
        keys = build_rows((DAY, name, None)).select(OBSERVATIONS.key)
        assert session.delete_keys(OBSERVATIONS, "metrics", keys) == 1
    assert read_values(warehouse) == [(DAY, "other", 2.0)]


@pytest.mark.parametrize("name", ["weird table", 'a"b', "select", "it's;--", "ü"])
def test_a_hostile_table_name_is_only_a_name(engine: Engine, warehouse: FileWarehouse, name: str) -> None:
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, name)
        session.upsert(OBSERVATIONS, name, build_rows((DAY, "m", 1.0)))
    assert read_all(warehouse, name=name).height == 1


def test_a_dotted_name_is_a_schema_and_a_table(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        session.upsert(OBSERVATIONS, "main.metrics", build_rows((DAY, "m", 2.0)))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


@pytest.mark.parametrize("name", ["a\0b", "", "a..b"])
def test_an_impossible_name_is_an_error(engine: Engine, warehouse: FileWarehouse, name: str) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match="cannot name a table"):
        session.identifier(name)


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ("ü'\n", "ü'\n"),
        (3, 3),
        (-1.5, -1.5),
        (1e308, 1e308),
        (0.1, 0.1),
        (5e-324, 5e-324),
        (True, True),
        (None, None),
        (float("nan"), None),
    ],
)
def test_a_literal_is_the_value(engine: Engine, warehouse: FileWarehouse, value: object, same: object) -> None:
    with warehouse.reading() as session:
        assert session.read(f"select {session.literal(value)} as x")["x"].to_list() == [same]


@pytest.mark.parametrize("value", [b"x", [1], DAY.replace(tzinfo=None), "a\0b"])
def test_a_value_without_a_literal_is_an_error(engine: Engine, warehouse: FileWarehouse, value: object) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match=r"cannot|no time zone"):
        session.literal(value)


def test_a_time_literal_compares_exactly_whatever_zone_it_had(engine: Engine, warehouse: FileWarehouse) -> None:
    step = dt.timedelta(microseconds=1)
    fill(warehouse, build_rows(*((DAY + count * step, "m", float(count)) for count in range(3))))
    with warehouse.reading() as session:
        middle = session.literal((DAY + step).astimezone(ZoneInfo("Europe/Berlin")))
        found = {sign: session.read_table(OBSERVATIONS, "metrics", f"metric_timestamp {sign} {middle}") for sign in ("<", "=", ">")}
    assert {sign: rows["metric_value"].to_list() for sign, rows in found.items()} == {"<": [0.0], "=": [1.0], ">": [2.0]}


def test_a_zoned_time_is_its_moment_and_a_naive_one_an_error(engine: Engine, warehouse: FileWarehouse) -> None:
    berlin = build_rows((DAY, "m", 1.0)).with_columns(pl.col("metric_timestamp").dt.convert_time_zone("Europe/Berlin"))
    fill(warehouse, berlin)
    fill(warehouse, berlin.with_columns(metric_value=2.0))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]
    with pytest.raises(FrameError, match="naive"):
        fill(warehouse, berlin.with_columns(pl.col("metric_timestamp").dt.replace_time_zone(None)))


def test_an_upsert_replaces_rows_of_its_keys_and_the_last_of_equal_keys_wins(engine: Engine, warehouse: FileWarehouse) -> None:
    later = DAY + dt.timedelta(hours=1)
    fill(warehouse, build_rows((DAY, "m", 1.0), (later, "m", 2.0)))
    fill(warehouse, build_rows((DAY, "m", 9.0), (DAY, "n", 5.0), (DAY, "m", 3.0)))
    assert read_values(warehouse) == [(DAY, "m", 3.0), (later, "m", 2.0), (DAY, "n", 5.0)]


def test_rows_come_from_old_to_new_by_the_tie_break(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "z", 1.0)))
    fill(warehouse, build_rows((DAY, "a", 2.0)))
    with warehouse.reading() as session:
        assert session.read(f"select metric_name from metrics order by {session.tie_break} desc")["metric_name"].to_list() == ["a", "z"]
    assert read_all(warehouse)["metric_name"].to_list() == ["z", "a"]


def test_insert_missing_leaves_what_is_there_and_counts(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        assert session.insert_missing(OBSERVATIONS, "metrics", build_rows((DAY, "m", 9.0), (DAY, "n", 2.0), (DAY, "n", 3.0))) == 1
        assert session.insert_missing(OBSERVATIONS, "metrics", build_rows((DAY, "n", 9.0))) == 0
    assert read_values(warehouse) == [(DAY, "m", 1.0), (DAY, "n", 2.0)]


def test_statements_count_the_rows_that_they_change(engine: Engine, warehouse: FileWarehouse) -> None:
    with warehouse.writing() as session:
        session.ensure_table(ALERTS, "alerts")
        for alert_id in "abc":
            session.upsert(ALERTS, "alerts", build_alert(alert_id, status="open"))
        assert session.execute("update alerts set message_id = 'x' where alert_id <> 'a' and message_id is null") == 2
        assert session.execute("update alerts set message_id = 'y' where message_id is null") == 1
        assert session.execute("update alerts set message_id = 'z' where message_id is null") == 0
        assert session.execute("delete from alerts") == 3
        assert session.execute("create table other (x integer)") == 0


def test_nothing_is_written_when_a_session_raises_and_everything_together_when_it_ends(engine: Engine, warehouse: FileWarehouse) -> None:
    def write(session: Session, value: float) -> None:
        session.ensure_table(OBSERVATIONS, "metrics")
        session.ensure_table(ALERTS, "alerts")
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", value)))
        session.insert_missing(ALERTS, "alerts", build_alert(f"alert of {value}"))

    with warehouse.writing() as session:
        write(session, 1.0)
    with pytest.raises(ZeroDivisionError), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        write(session, 2.0)
        session.delete_keys(OBSERVATIONS, "metrics", build_rows((DAY, "m", None)))
        raise ZeroDivisionError
    assert read_values(warehouse) == [(DAY, "m", 1.0)]
    assert read_all(warehouse, ALERTS, "alerts")["alert_id"].to_list() == ["alert of 1.0"]


def test_a_failed_statement_undoes_its_session_even_when_its_error_is_caught(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(WarehouseError, match="all of it was undone"), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        with pytest.raises(WarehouseError, match="refused a statement"):
            session.execute("insert into metrics select 1")
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_a_reading_session_cannot_write(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.reading() as session, pytest.raises(WarehouseError, match="opened for reading"):
        session.execute("delete from metrics")
    with warehouse.reading() as session, pytest.raises(WarehouseError, match=r"read-only|readonly"):
        session.read("insert into metrics (metric_name) values ('x')")
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (build_rows((DAY, "m", 1.0)).drop("metadata"), "lack .'metadata'."),
        (build_rows((DAY, "m", 1.0)).with_columns(other=1), "'other'. that it does not know"),
        (build_rows((None, "m", 1.0)), "null in metric_timestamp"),
        (build_rows((DAY, "m", 1.0)).with_columns(metric_value=pl.lit("x")), "do not fit"),
    ],
)
def test_rows_that_do_not_fit_are_refused_before_anything_is_written(
    engine: Engine, warehouse: FileWarehouse, rows: pl.DataFrame, words: str
) -> None:
    with pytest.raises(FrameError, match=words):
        fill(warehouse, rows)


@pytest.mark.parametrize("sql", ["selec 1", "select * from nowhere", "select nothing from metrics"])
def test_an_error_of_the_engine_says_where_and_what(engine: Engine, warehouse: FileWarehouse, sql: str) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(WarehouseError, match=r"(?s)refused a statement.*(selec|nowhere|nothing)") as caught, warehouse.reading() as session:
        session.read(sql)
    assert warehouse.location in str(caught.value)


def test_a_missing_table_is_named(engine: Engine, warehouse: FileWarehouse) -> None:
    with pytest.raises(WarehouseError, match="has no table 'metrics'"):
        read_all(warehouse)
    with pytest.raises(WarehouseError, match="has no table 'metrics'"), warehouse.writing() as session:
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 1.0)))


def test_a_table_of_others_without_the_key_columns_is_not_touched(engine: Engine, warehouse: FileWarehouse) -> None:
    engine.run_raw(warehouse.file, ["create table metrics (metric_name varchar, price double)"])
    with pytest.raises(WarehouseError, match=r"none of ours, for it lacks metric_batch.*found: metric_name, price.*table_key"):
        fill(warehouse, build_rows((DAY, "m", 1.0)))


def test_a_query_with_two_columns_of_one_name_is_refused(engine: Engine, warehouse: FileWarehouse) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match="more than one occurrence"):
        session.read("select 1 as a, 2 as a")


@pytest.mark.parametrize("form", ["naive", "zoned", "nanoseconds", "seconds", "iso", "without metadata"])
def test_a_table_made_by_anomstack_is_read_and_all_duplicates_replaced(engine: Engine, warehouse: FileWarehouse, form: str) -> None:
    if form not in engine.foreign:
        pytest.skip(f"{engine.kind} has no such form")
    engine.run_raw(warehouse.file, engine.foreign[form])
    tomorrow = DAY + dt.timedelta(days=1)
    before = read_all(warehouse)
    assert before.schema == OBSERVATIONS.columns
    assert before["metric_value"].to_list() == [1.0, 2.0, 3.0]
    assert before["metric_timestamp"].to_list() == [DAY, DAY, tomorrow]
    fill(warehouse, build_rows((DAY, "m", 9.0, '{"value": 9.0}')))
    assert read_values(warehouse) == [(DAY, "m", 9.0), (tomorrow, "m", 3.0)]
    assert '{"value": 9.0}' in read_all(warehouse)["metadata"].to_list()
    with warehouse.writing() as session:
        assert session.insert_missing(OBSERVATIONS, "metrics", build_rows((tomorrow, "m", 7.0))) == 0
        found = session.read_table(OBSERVATIONS, "metrics", f"metric_timestamp <= {session.literal(DAY)}")
        assert found["metric_value"].to_list() == [9.0]
        assert session.delete_keys(OBSERVATIONS, "metrics", build_rows((tomorrow, "m", None))) == 1


def test_a_hundred_thousand_rows_are_written_and_replaced_in_seconds(engine: Engine, warehouse: FileWarehouse) -> None:
    count = 100_000
    rows = pl.select(
        metric_timestamp=(pl.lit(DAY) + pl.duration(minutes=pl.int_range(count) // 100)).dt.cast_time_unit("us"),
        metric_batch=pl.lit("b"),
        metric_name=pl.format("metric {}", pl.int_range(count) % 100),
        metric_type=pl.lit("metric"),
        metric_value=pl.int_range(count).cast(pl.Float64),
        metadata=pl.lit(None, dtype=pl.String),
    )
    begin = time.process_time()
    fill(warehouse, rows)
    fill(warehouse, rows.with_columns(pl.col("metric_value") + 1))
    read = read_all(warehouse)
    assert time.process_time() - begin < 15
    assert read.height == count
    assert read["metric_value"].sum() == count * (count + 1) / 2


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    writes=st.lists(
        st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(["m", "n'", "ü"]), st.none() | st.floats(allow_nan=False, allow_infinity=False)),
            max_size=6,
        ),
        max_size=4,
    )
)
def test_any_sequence_of_upserts_equals_a_dictionary(
    engine: Engine, warehouse: FileWarehouse, writes: list[list[tuple[int, str, float | None]]]
) -> None:
    expected: dict[tuple[dt.datetime, str], float | None] = {}
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
        session.execute("delete from metrics")
    for write in writes:
        rows = [(DAY + dt.timedelta(microseconds=step), name, value) for step, name, value in write]
        fill(warehouse, build_rows(*rows))
        expected |= {(moment, name): value for moment, name, value in rows}
    assert {row[:2]: row[2] for row in read_values(warehouse)} == expected
    assert read_all(warehouse).height == len(expected)


def test_two_processes_that_write_at_once_lose_no_committed_row(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 0.0)))
    command = [sys.executable, "-m", "tests.conformance.writer", engine.kind, str(warehouse.file.parent), "x"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        for count in range(10):
            fill(warehouse, build_rows((DAY + dt.timedelta(minutes=count), "z", 1.0)))
    assert writer.returncode == 0
    counts = read_all(warehouse).group_by("metric_name").len().sort("metric_name").rows()
    assert counts == [("m", 1), ("x", 100), ("z", 10)]


def test_threads_of_one_process_write_and_read_at_once(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 0.0)))
    errors: list[Exception] = []

    def work(name: str) -> None:
        try:
            for count in range(8):
                fill(warehouse, build_rows((DAY + dt.timedelta(minutes=count), name, 1.0)))
                read_all(warehouse)
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert read_all(warehouse).height == 25


def test_readers_do_not_wait_for_each_other(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.reading() as first, warehouse.reading() as second:
        assert first.read_table(OBSERVATIONS, "metrics").equals(second.read_table(OBSERVATIONS, "metrics"))


def test_a_file_that_stays_locked_is_a_clear_error_after_the_limit(
    engine: Engine, warehouse: FileWarehouse, holder: subprocess.Popen[str]
) -> None:
    impatient = warehouse.model_copy(update={"lock_timeout_seconds": 0.2})
    begin = time.monotonic()
    with pytest.raises(WarehouseBusyError, match=re.escape(str(warehouse.file))) as caught:
        fill(impatient, build_rows((DAY, "m", 2.0)))
    assert time.monotonic() - begin < 5
    assert f"process {holder.pid} (python" in str(caught.value)
    assert "lock_timeout_seconds" in str(caught.value)


def test_a_lock_that_is_let_go_is_waited_for(engine: Engine, warehouse: FileWarehouse, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    timer = threading.Timer(0.3, holder.stdin.close)
    timer.start()
    fill(warehouse, build_rows((DAY, "m", 2.0)))
    timer.join()
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_full_disk_is_a_clear_error_and_leaves_what_was_there(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    many = build_rows(*((DAY + dt.timedelta(seconds=second), "n", 1.0, f"{second:200d}") for second in range(20_000)))
    with limit_file_size(600_000), pytest.raises(WarehouseError, match="disk is full"):
        fill(warehouse, many)
    assert read_values(warehouse) == [(DAY, "m", 1.0)]
    fill(warehouse, build_rows((DAY, "m", 2.0)))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_disk_too_full_to_make_the_file_leaves_nothing(engine: Engine, warehouse: FileWarehouse) -> None:
    with limit_file_size(1000), pytest.raises(WarehouseError, match=r"disk is full|cannot be made"):
        fill(warehouse, build_rows((DAY, "m", 1.0)))
    assert [path.name for path in warehouse.file.parent.iterdir() if path.suffix != ".lock"] == []
    fill(warehouse, build_rows((DAY, "m", 1.0)))


@pytest.mark.skipif(sys.platform != "linux", reason="root's capabilities are dropped through Linux")
def test_a_read_only_file_can_be_read_and_not_written(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    warehouse.file.chmod(0o444)
    with obey_permissions():
        with pytest.raises(WarehouseError, match="read-only"):
            fill(warehouse, build_rows((DAY, "m", 2.0)))
        assert read_values(warehouse) == [(DAY, "m", 1.0)]


@pytest.mark.skipif(sys.platform != "linux", reason="root's capabilities are dropped through Linux")
def test_a_file_in_a_read_only_folder_is_not_written_and_read_where_the_engine_can(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    warehouse.file.parent.chmod(0o555)
    reading = nullcontext() if engine.reads_in_read_only_folder else pytest.raises(WarehouseError, match="folder is read-only")
    with obey_permissions():
        with pytest.raises(WarehouseError, match="read-only"):
            fill(warehouse, build_rows((DAY, "m", 2.0)))
        with reading:
            read_all(warehouse)
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"hello" * 1000, "begins with b'hellohello"), (b"SQLite format 3\0" * 99, "SQLite"), (b"12345678DUCK" * 99, "DuckDB")],
)
def test_a_file_of_another_kind_is_left_alone(engine: Engine, warehouse: FileWarehouse, content: bytes, words: str) -> None:
    if engine.kind in words.casefold():
        pytest.skip("its own kind")
    warehouse.file.write_bytes(content)
    with pytest.raises(WarehouseError, match=f"is not a {engine.kind} database .*{words}"):
        read_all(warehouse)
    with pytest.raises(WarehouseError, match=f"is not a {engine.kind} database"):
        fill(warehouse, build_rows((DAY, "m", 1.0)))
    assert warehouse.file.read_bytes() == content


def test_a_folder_or_a_missing_parent_is_named(engine: Engine, warehouse: FileWarehouse) -> None:
    warehouse.file.mkdir()
    with pytest.raises(WarehouseError, match=r"[Ii]s a directory"):
        read_all(warehouse)
    lost = warehouse.model_copy(update={"path": str(warehouse.file.parent / "nowhere" / "x")})
    with pytest.raises(WarehouseError, match="nowhere does not exist"):
        read_all(lost)
    assert not lost.file.parent.exists()


def test_times_of_a_free_query_come_zoned_or_as_they_are(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.reading() as session:
        found = session.read("select metric_timestamp from metrics")
    assert found.schema["metric_timestamp"] in (UTC, pl.String)
    assert str(found["metric_timestamp"][0]).startswith("2026-01-01 00:00:00")
