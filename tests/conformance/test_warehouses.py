"""What every warehouse must do: on the engines that need nothing, and in `make test-services` on each that needs a service."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomflow.errors import FrameError, WarehouseError
from anomflow.frames import ALERTS, OBSERVATIONS, TABLES, UTC, Table
from blocks import warehouses
from blocks.discovery import find_kinds
from tests.conformance.engines import EMBEDDED, ENGINES, SERVICES
from tests.conformance.rows import DAY, build_alert, build_many, build_rows, fill, read_all, read_values

if TYPE_CHECKING:
    from anomflow.protocols import Session
    from tests.conformance.engine import Engine

ROOT = Path(__file__).parents[2]
HOSTILE = ["a'; drop table metrics; --", 'say "hi"', "a/b\n", "ü 東京 🦆", "back\\slash", " ", "%s ? :x {y}", "'", "null", "-- x", "/* x"]

FORMS = [pytest.param(engine, form, id=f"{kind}-{form}".replace(" ", "-")) for kind, engine in ENGINES.items() for form in engine.foreign]


@pytest.fixture(params=[pytest.param(engine, id=kind) for kind, engine in ENGINES.items()])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.param
    for name in engine.cannot.keys() & {request.node.originalname, request.node.name}:
        request.applymarker(pytest.mark.xfail(reason=engine.cannot[name], strict=True))
    return engine


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> Any:
    return engine.build(tmp_path, 20.0)


def test_every_engine_that_is_found_is_tested(engine: Engine) -> None:
    assert find_kinds(warehouses).keys() == {*EMBEDDED, *SERVICES}


def test_tables_are_made_once_with_their_columns_and_types(engine: Engine, warehouse: Any) -> None:
    for _ in range(2):
        with warehouse.writing() as session:
            for table in TABLES:
                session.ensure_table(table, table.name("metrics"))
    for table in TABLES:
        assert read_all(warehouse, table, table.name("metrics")).schema == table.columns


def test_columns_that_a_table_lacks_are_added_once_and_empty(engine: Engine, warehouse: Any) -> None:
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


def test_rows_come_back_as_they_were_written(engine: Engine, warehouse: Any) -> None:
    rows = build_rows(
        (DAY.replace(microsecond=1), "m", 0.1 + 0.2, '{"a": "ü\n\'"}'),
        (DAY.replace(year=1970), "m", 1e308),
        (DAY.replace(year=2999, microsecond=999999), "m", -5e-324),
        (DAY, "m", None),
    )
    fill(warehouse, rows)
    assert read_all(warehouse).sort("metric_timestamp").equals(rows.sort("metric_timestamp"))


def test_numbers_that_are_not_finite_are_null(engine: Engine, warehouse: Any) -> None:
    fill(warehouse, build_rows(*((DAY + dt.timedelta(hours=hour), "m", float(text)) for hour, text in enumerate(("nan", "inf", "-inf")))))
    assert read_all(warehouse)["metric_value"].to_list() == [None] * 3


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_only_text(engine: Engine, warehouse: Any, name: str) -> None:
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
def test_a_hostile_table_name_is_only_a_name(engine: Engine, warehouse: Any, name: str) -> None:
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, name)
        session.upsert(OBSERVATIONS, name, build_rows((DAY, "m", 1.0)))
    assert read_all(warehouse, name=name).height == 1


def test_a_dotted_name_is_a_schema_and_a_table(engine: Engine, warehouse: Any) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        session.upsert(OBSERVATIONS, f"{engine.find_schema(warehouse)}.metrics", build_rows((DAY, "m", 2.0)))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


@pytest.mark.parametrize("name", ["a\0b", "", "a..b"])
def test_an_impossible_name_is_an_error(engine: Engine, warehouse: Any, name: str) -> None:
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
def test_a_literal_is_the_value(engine: Engine, warehouse: Any, value: object, same: object) -> None:
    with warehouse.reading() as session:
        assert session.read(f"select {session.literal(value)} as x")["x"].to_list() == [same]


@pytest.mark.parametrize("value", [b"x", [1], DAY.replace(tzinfo=None), "a\0b"])
def test_a_value_without_a_literal_is_an_error(engine: Engine, warehouse: Any, value: object) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match=r"cannot|no time zone"):
        session.literal(value)


def test_a_time_literal_compares_exactly_whatever_zone_it_had(engine: Engine, warehouse: Any) -> None:
    step = dt.timedelta(microseconds=1)
    fill(warehouse, build_rows(*((DAY + count * step, "m", float(count)) for count in range(3))))
    with warehouse.reading() as session:
        middle = session.literal((DAY + step).astimezone(ZoneInfo("Europe/Berlin")))
        found = {sign: session.read_table(OBSERVATIONS, "metrics", f"metric_timestamp {sign} {middle}") for sign in ("<", "=", ">")}
    assert {sign: rows["metric_value"].to_list() for sign, rows in found.items()} == {"<": [0.0], "=": [1.0], ">": [2.0]}


def test_a_zoned_time_is_its_moment_and_a_naive_one_an_error(engine: Engine, warehouse: Any) -> None:
    berlin = build_rows((DAY, "m", 1.0)).with_columns(pl.col("metric_timestamp").dt.convert_time_zone("Europe/Berlin"))
    fill(warehouse, berlin)
    fill(warehouse, berlin.with_columns(metric_value=2.0))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]
    with pytest.raises(FrameError, match="naive"):
        fill(warehouse, berlin.with_columns(pl.col("metric_timestamp").dt.replace_time_zone(None)))


def test_an_upsert_replaces_rows_of_its_keys_and_the_last_of_equal_keys_wins(engine: Engine, warehouse: Any) -> None:
    later = DAY + dt.timedelta(hours=1)
    fill(warehouse, build_rows((DAY, "m", 1.0), (later, "m", 2.0)))
    fill(warehouse, build_rows((DAY, "m", 9.0), (DAY, "n", 5.0), (DAY, "m", 3.0)))
    assert read_values(warehouse) == [(DAY, "m", 3.0), (later, "m", 2.0), (DAY, "n", 5.0)]


def test_rows_come_from_old_to_new_by_the_tie_break(engine: Engine, warehouse: Any) -> None:
    fill(warehouse, build_rows((DAY, "z", 1.0)))
    fill(warehouse, build_rows((DAY, "a", 2.0)))
    with warehouse.reading() as session:
        assert session.read(f"select metric_name from metrics order by {session.tie_break} desc")["metric_name"].to_list() == ["a", "z"]


def test_insert_missing_leaves_what_is_there_and_counts(engine: Engine, warehouse: Any) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.writing() as session:
        assert session.insert_missing(OBSERVATIONS, "metrics", build_rows((DAY, "m", 9.0), (DAY, "n", 2.0), (DAY, "n", 3.0))) == 1
        assert session.insert_missing(OBSERVATIONS, "metrics", build_rows((DAY, "n", 9.0))) == 0
    assert read_values(warehouse) == [(DAY, "m", 1.0), (DAY, "n", 2.0)]


def test_statements_count_the_rows_that_they_change(engine: Engine, warehouse: Any) -> None:
    with warehouse.writing() as session:
        session.ensure_table(ALERTS, "alerts")
        for alert_id in "abc":
            session.upsert(ALERTS, "alerts", build_alert(alert_id, status="open"))
        assert session.execute("update alerts set message_id = 'x' where alert_id <> 'a' and message_id is null") == 2
        assert session.execute("update alerts set message_id = 'y' where message_id is null") == 1
        assert session.execute("update alerts set message_id = 'z' where message_id is null") == 0
        assert session.execute("delete from alerts where true") == 3
        assert session.execute("create table other (x integer)") == 0


def test_nothing_is_written_when_a_session_raises_and_everything_together_when_it_ends(engine: Engine, warehouse: Any) -> None:
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


def test_a_failed_statement_undoes_its_session_even_when_its_error_is_caught(engine: Engine, warehouse: Any) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with pytest.raises(WarehouseError, match="all of it was undone"), warehouse.writing() as session:  # noqa: PT012 - a session is the case
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 2.0)))
        with pytest.raises(WarehouseError, match="refused a statement"):
            session.execute("insert into metrics select 1")
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


def test_a_reading_session_cannot_write(engine: Engine, warehouse: Any) -> None:
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
    engine: Engine, warehouse: Any, rows: pl.DataFrame, words: str
) -> None:
    with pytest.raises(FrameError, match=words):
        fill(warehouse, rows)


@pytest.mark.parametrize("sql", ["selec 1", "select * from nowhere", "select nothing from metrics"])
def test_an_error_of_the_engine_says_where_and_what(engine: Engine, warehouse: Any, sql: str) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with (
        pytest.raises(WarehouseError, match=r"(?si)refused a statement.*(selec|nowhere|nothing)") as caught,
        warehouse.reading() as session,
    ):
        session.read(sql)
    assert warehouse.location in str(caught.value)


def test_a_missing_table_is_named(engine: Engine, warehouse: Any) -> None:
    with pytest.raises(WarehouseError, match="has no table 'metrics'"):
        read_all(warehouse)
    with pytest.raises(WarehouseError, match="has no table 'metrics'"), warehouse.writing() as session:
        session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", 1.0)))


def test_a_table_of_others_without_the_key_columns_is_not_touched(engine: Engine, warehouse: Any) -> None:
    engine.run_raw(warehouse, ["create table metrics (metric_name varchar(9), price integer)"])
    with pytest.raises(WarehouseError, match=r"none of ours, for it lacks metric_batch.*found: metric_name, price.*table_key"):
        fill(warehouse, build_rows((DAY, "m", 1.0)))


def test_a_query_with_two_columns_of_one_name_is_refused(engine: Engine, warehouse: Any) -> None:
    with warehouse.reading() as session, pytest.raises(WarehouseError, match="more than one occurrence"):
        session.read("select 1 as a, 2 as a")


@pytest.mark.parametrize(("engine", "form"), FORMS)
def test_a_table_made_by_anomstack_is_read_and_all_duplicates_replaced(engine: Engine, warehouse: Any, form: str) -> None:
    engine.run_raw(warehouse, engine.foreign[form])
    tomorrow = DAY + dt.timedelta(days=1)
    before = read_all(warehouse)
    assert before.schema == OBSERVATIONS.columns
    assert before["metric_value"].to_list() == [1.0, 2.0, 3.0]
    assert before["metric_timestamp"].to_list() == [DAY, DAY, tomorrow]
    with warehouse.reading() as session:
        newest = session.read(f"select metric_value from metrics order by {session.tie_break} desc")
        assert newest["metric_value"].to_list() == [3.0, 2.0, 1.0]
    fill(warehouse, build_rows((DAY, "m", 9.0, '{"value": 9.0}')))
    assert read_values(warehouse) == [(DAY, "m", 9.0), (tomorrow, "m", 3.0)]
    assert '{"value": 9.0}' in read_all(warehouse)["metadata"].to_list()
    with warehouse.writing() as session:
        assert session.insert_missing(OBSERVATIONS, "metrics", build_rows((tomorrow, "m", 7.0))) == 0
        found = session.read_table(OBSERVATIONS, "metrics", f"metric_timestamp <= {session.literal(DAY)}")
        assert found["metric_value"].to_list() == [9.0]
        assert session.delete_keys(OBSERVATIONS, "metrics", build_rows((tomorrow, "m", None))) == 1


def test_a_hundred_thousand_rows_are_written_and_replaced_in_seconds(engine: Engine, warehouse: Any) -> None:
    count = 100_000
    rows = build_many(count)
    begin = time.process_time()
    fill(warehouse, rows)
    fill(warehouse, rows.with_columns(pl.col("metric_value") + 1))
    read = read_all(warehouse)
    assert time.process_time() - begin < 15
    assert read.height == count
    assert read["metric_value"].sum() == count * (count + 1) / 2


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    engine: Engine, warehouse: Any, writes: list[list[tuple[int, str, float | None]]]
) -> None:
    expected: dict[tuple[dt.datetime, str], float | None] = {}
    with warehouse.writing() as session:
        session.ensure_table(OBSERVATIONS, "metrics")
        session.execute("delete from metrics where true")
    for write in writes:
        rows = [(DAY + dt.timedelta(microseconds=step), name, value) for step, name, value in write]
        fill(warehouse, build_rows(*rows))
        expected |= {(moment, name): value for moment, name, value in rows}
    assert {row[:2]: row[2] for row in read_values(warehouse)} == expected
    assert read_all(warehouse).height == len(expected)


def test_two_processes_that_write_at_once_lose_no_committed_row(engine: Engine, warehouse: Any, tmp_path: Path) -> None:
    fill(warehouse, build_rows((DAY, "m", 0.0)))
    command = [sys.executable, "-m", "tests.conformance.writer", engine.kind, str(tmp_path), "x"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        for count in range(10):
            fill(warehouse, build_rows((DAY + dt.timedelta(minutes=count), "z", 1.0)))
    assert writer.returncode == 0
    counts = read_all(warehouse).group_by("metric_name").len().sort("metric_name").rows()
    assert counts == [("m", 1), ("x", 100), ("z", 10)]


def test_threads_of_one_process_write_and_read_at_once(engine: Engine, warehouse: Any) -> None:
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


def test_readers_do_not_wait_for_each_other(engine: Engine, warehouse: Any) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.reading() as first, warehouse.reading() as second:
        assert first.read_table(OBSERVATIONS, "metrics").equals(second.read_table(OBSERVATIONS, "metrics"))


def test_times_of_a_free_query_come_zoned_or_as_they_are(engine: Engine, warehouse: Any) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    with warehouse.reading() as session:
        found = session.read("select metric_timestamp from metrics")
    assert found.schema["metric_timestamp"] in (UTC, pl.String)
    assert str(found["metric_timestamp"][0]).startswith("2026-01-01 00:00:00")
