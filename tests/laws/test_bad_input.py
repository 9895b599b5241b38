"""Bad input, from the source to the ledger: a clear error or a defined result, neighbours untouched, nothing lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from anomflow.errors import AnomflowError, FrameError, IngestError, WarehouseError
from tests.world import START, World

WINDOW = timedelta(days=14)
NOW = START + timedelta(days=1)


def write_batch(world: World, text: str, function: str | None = None) -> Path:
    """Write a batch named `odd` beside `shop` into the same tables; return the path of its function."""
    folder = world.folder / "metrics" / "odd"
    folder.mkdir(exist_ok=True)
    (folder / "odd.yaml").write_text(f"metric_batch: odd\ntable_key: metrics\n{text}")
    path = folder / "odd.py"
    if function is not None:
        path.write_text(function)
    return path


@pytest.fixture
def neighbour(world: World, series: Callable[..., pl.DataFrame]) -> World:
    """Return a world whose batch `shop` has rows that nobody may touch."""
    world.put(series("orders", 3))
    world.run("ingest", as_of=NOW)
    return world


def rows_of(world: World, batch: str = "odd") -> list[tuple[datetime, str, float | None]]:
    return (
        world.sql("select * from metrics order by all")
        .filter(pl.col("metric_batch") == batch, pl.col("metric_type") == "metric")
        .select("metric_timestamp", "metric_name", "metric_value")
        .rows()
    )


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ("select 1 as metric_value", FrameError, "no column metric_timestamp, metric_name; found: metric_value"),
        ("select now() as metric_timestamp, 'a' as metric_name, 'many' as metric_value", FrameError, "no number in it.*'many'"),
        ("select true as metric_timestamp, 'a' as metric_name, 1 as metric_value", FrameError, "metric_timestamp is of type Boolean"),
        ("select now() as metric_timestamp, [1] as metric_name, 1 as metric_value", FrameError, "metric_name is of type"),
        ("selec 1", WarehouseError, "selec"),
        ("select * from nowhere", WarehouseError, "nowhere"),
        ("drop table metrics", WarehouseError, "read-only"),
        ("select 1 / {{ nothing }}", AnomflowError, "nothing"),
    ],
)
def test_a_query_that_gives_no_rows_of_ours_is_told_and_touches_nothing(neighbour, query, error, words):
    write_batch(neighbour, f'ingest_sql: "{query}"\n')
    before = neighbour.snapshot
    with pytest.raises(error, match=words):
        neighbour.run("ingest", as_of=NOW, batch="odd")
    assert neighbour.snapshot == before


MOMENT = datetime(2026, 1, 1, 10, tzinfo=UTC)
ZONED = "timestamptz '2026-01-01 10:00:00+00'"


@pytest.mark.parametrize(
    ("values", "settings", "expected", "rejected"),
    [
        (f"({ZONED}, 'a', 'nan'::double), ({ZONED}, 'b', 'inf'::double)", "", [(MOMENT, "a", None), (MOMENT, "b", None)], 0),
        (f"({ZONED}, 'a', 1), (null, 'a', 2), ({ZONED}, null, 3)", "", [(MOMENT, "a", 1.0)], 2),
        ("('2026-01-01T10:00:00Z', 'a', 1), ('yesterday', 'a', 2)", "", [(MOMENT, "a", 1.0)], 1),
        ("(timestamp '2026-01-01 11:00:00', 'a', 1)", "timezone: Europe/Berlin\n", [(MOMENT, "a", 1.0)], 0),
        ("('2026-01-01 12:00:00+02:00', 'a', 1)", "timezone: Europe/Berlin\n", [(MOMENT, "a", 1.0)], 0),
        (f"({ZONED}, 'a', 1), ({ZONED}, 'a', 2), ({ZONED}, 'a', 3)", "", [(MOMENT, "a", 3.0)], 0),
        (f"({ZONED}, 'a', 1e308), ({ZONED}, 'b', -1e308)", "", [(MOMENT, "a", 1e308), (MOMENT, "b", -1e308)], 0),
        (f"({ZONED}, 'a', '1'), ({ZONED}, 'b', 'one')", "", [(MOMENT, "a", 1.0)], 1),
    ],
    ids=["not finite", "nulls", "unparsable", "naive", "zoned", "duplicates", "huge", "some text"],
)
def test_odd_rows_have_a_defined_result(neighbour, values, settings, expected, rejected):
    query = f"select * from (values {values}) as t(metric_timestamp, metric_name, metric_value)"
    write_batch(neighbour, f'{settings}ingest_sql: "{query}"\n')
    shop = rows_of(neighbour, "shop")
    (outcome,) = neighbour.run("ingest", as_of=NOW, batch="odd")
    assert rows_of(neighbour) == expected
    assert outcome.counts["rejected"] == rejected == len(outcome.notes)
    assert rows_of(neighbour, "shop") == shop
    neighbour.run("train", "score", "alert", as_of=NOW, batch="odd")
    neighbour.run("ingest", "train", "score", "alert", as_of=NOW)
    assert neighbour.uncovered(NOW - WINDOW).is_empty()


def test_an_empty_result_changes_nothing(neighbour):
    write_batch(neighbour, f'ingest_sql: "select {ZONED} as metric_timestamp, 1 as metric_name, 1 as metric_value where false"\n')
    (outcome,) = neighbour.run("ingest", as_of=NOW, batch="odd")
    assert set(outcome.counts.values()) == {0}
    assert neighbour.run("train", "score", "alert", as_of=NOW, batch="odd")[1].failures == {}
    assert rows_of(neighbour) == []


ROWS = "{'metric_timestamp': ['2026-01-01T10:00:00Z'], 'metric_name': ['a'], 'metric_value': [1.0]}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    raise ValueError('too odd')", r"odd\.py:2: ingest\(\) raised ValueError: too odd"),
        ("    import json\n    return json.loads('{')", r"odd\.py:3: ingest\(\) raised JSONDecodeError: "),
        ("    import sys\n    sys.exit(3)", r"odd\.py:3: ingest\(\) raised SystemExit: 3"),
        ("    import os\n    os._exit(7)", r"odd\.py:1: the process of ingest\(\) ended with code 7 and returned nothing"),
        ("    return None", "returned a NoneType; return a polars, pandas or Arrow table"),
        ("    return [1, 2]", "returned a list; return a polars, pandas or Arrow table"),
        ("    import polars\n    return polars.DataFrame({'a': [1]})", "no column metric_timestamp, metric_name, metric_value; found: a"),
    ],
    ids=["raises", "raises in a library", "exits", "ends", "none", "list", "other columns"],
)
def test_a_function_that_gives_no_rows_is_told_with_its_line_and_touches_nothing(neighbour, body, words):
    write_batch(neighbour, "", f"def ingest():\n{body}\n")
    before = neighbour.snapshot
    with pytest.raises((IngestError, FrameError), match=words):
        neighbour.run("ingest", as_of=NOW, batch="odd")
    assert neighbour.snapshot == before


@pytest.mark.parametrize(
    "body",
    [
        f"    import pandas\n    return pandas.DataFrame({ROWS})",
        f"    import pyarrow\n    return pyarrow.table({ROWS})",
        f"    import polars\n    return polars.LazyFrame({ROWS})",
        f"    import polars\n    print('noise ' * 10_000)\n    return polars.DataFrame({ROWS})",
    ],
    ids=["pandas", "arrow", "polars", "noisy"],
)
def test_a_function_may_return_any_table_and_print(neighbour, body):
    write_batch(neighbour, "", f"def ingest():\n{body}\n")
    neighbour.run("ingest", as_of=NOW, batch="odd")
    assert rows_of(neighbour) == [(MOMENT, "a", 1.0)]


LINGER = """\
import os, subprocess, sys, time

def ingest():
    pipe = os.open({pipe!r}, os.O_WRONLY)
    os.write(pipe, b"started")
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], pass_fds=[pipe])
    {end}
"""


@pytest.fixture
def pipe(tmp_path):
    """Return the path of a pipe, and what reads it until nobody holds its other end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read_all() -> bytes:
        os.set_blocking(reader, True)
        with os.fdopen(reader, "rb") as file:
            return file.read()

    return path, read_all


def test_a_function_that_hangs_is_stopped_with_all_that_it_started(neighbour, pipe):
    path, read_all = pipe
    write_batch(neighbour, "ingest_timeout: 5s\n", LINGER.format(pipe=str(path), end="time.sleep(3600)"))
    before = neighbour.snapshot
    with pytest.raises(IngestError, match=r"odd\.py:1: ingest\(\) did not return within 5 s \(ingest_timeout\)"):
        neighbour.run("ingest", as_of=NOW, batch="odd")
    assert read_all() == b"started"
    assert neighbour.snapshot == before


def test_what_a_function_leaves_running_ends_with_it(neighbour, pipe):
    path, read_all = pipe
    write_batch(neighbour, "", LINGER.format(pipe=str(path), end=f"import polars; return polars.DataFrame({ROWS})"))
    neighbour.run("ingest", as_of=NOW, batch="odd")
    assert read_all() == b"started"
    assert rows_of(neighbour) == [(MOMENT, "a", 1.0)]


def test_constant_short_and_huge_metrics_are_judged_beside_a_good_one(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    constant = series("constant", 330).with_columns(metric_value=pl.lit(5.0))
    swinging = series("swinging", 330).with_columns(metric_value=pl.when(pl.int_range(330) % 2 == 0).then(1e308).otherwise(-1e308))
    world.put(pl.concat([series("good", 330, spikes=[327]), constant, swinging, series("short", 3)]))
    outcomes = world.run("ingest", "train", "score", "alert", as_of=at(329))
    assert [outcome.failures for outcome in outcomes] == [{}, {}, {}, {}]
    assert world.uncovered(at(329) - WINDOW).is_empty()
    assert world.status_at(327, "good") == "open"
    assert world.alerts(kind="anomaly", metric_name="constant").is_empty()
    assert len(mailbox.mails) == 1


def test_a_clock_that_goes_back_loses_nothing_and_repeats_nothing(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", "score", "alert", as_of=at(329))
    before = world.snapshot
    world.clock.moment = at(300)
    world.run("ingest", "train", "score", "alert", as_of=at(300))
    after = world.snapshot
    assert {name: after[name] for name in ("", "_alerts", "_deliveries")} == {name: before[name] for name in ("", "_alerts", "_deliveries")}
    assert set(before["_models"]) <= set(after["_models"])
    world.run("ingest", "train", "score", "alert", as_of=at(330))
    assert world.uncovered(at(330) - WINDOW).is_empty()
    assert len(mailbox.mails) == 1


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def trained(world, series, at):
    """Return a world with two versions of its model, and the object of the newer one."""
    world.put(series("orders", 330))
    world.run("ingest", "train", "score", as_of=at(310))
    older = world.table("_models")["object_name"].to_list()
    world.run("ingest", "train", as_of=at(320))
    (newer,) = set(world.table("_models")["object_name"]) - set(older)
    (path,) = (world.folder / "home").rglob(f"*{newer}*")
    return world, path


@pytest.mark.parametrize("spoil", [tear, tamper, Path.unlink])
def test_a_model_that_is_spoilt_is_reported_and_the_one_before_is_used(trained, at, spoil):
    world, path = trained
    spoil(path)
    (outcome,) = world.run("score", as_of=at(320))
    assert outcome.counts["scored"] == 10
    (note,) = outcome.notes
    assert "is not usable" in note
    assert "the version before is used" in note
    world.run("train", "score", as_of=at(320))
    (outcome,) = world.run("score", as_of=at(320))
    assert outcome.notes == ()


def test_a_version_that_lost_the_row_of_a_shard_is_passed_over(world, series, at):
    world.configure("shards: 3\n")
    world.put(pl.concat(series(name, 330) for name in ("orders", "returns", "visits", "refunds")))
    for last in (310, 320):
        world.run("ingest", "train", as_of=at(last))
    world.sql("delete from metrics_models where shard = 1 and version = (select max(version) from metrics_models)")
    (outcome,) = world.run("score", as_of=at(320))
    (note,) = outcome.notes
    assert "is not usable (metrics_models has rows of shards 0, 2 alone); the version before is used" in note
    assert world.uncovered(at(320) - WINDOW).is_empty()


def test_without_any_model_left_points_wait_and_the_next_training_heals(trained, at):
    world, path = trained
    for each in path.parent.iterdir():
        tamper(each)
    (outcome,) = world.run("score", as_of=at(320))
    assert outcome.counts == {"points_waiting_for_a_model": 10}
    assert len(outcome.notes) == 3
    assert outcome.notes[-1] == "no model yet: run train"
    world.run("train", "score", as_of=at(320))
    assert world.uncovered(at(320) - WINDOW).is_empty()


def test_a_database_file_of_another_kind_is_named_and_left_alone(world, at):
    world.database.write_text("these are my notes, please keep them")
    with pytest.raises(WarehouseError, match=r"anomflow\.duckdb"):
        world.run("pipeline", as_of=at(1))
    assert world.database.read_text() == "these are my notes, please keep them"


@pytest.mark.parametrize("metadata", [None, "", "not json", '{"broken', '{"a": 1}', '{"value": "x", "model": null}', "[1]", "{}"])
def test_scores_of_others_count_as_absent(world, mailbox, series, at, metadata):
    world.put(series("orders", 330))
    world.run("ingest", "train", as_of=at(329))
    text = "null" if metadata is None else f"'{metadata}'"
    world.sql(f"""
        insert into metrics by name select metric_timestamp, metric_batch, metric_name, 'score' as metric_type, 0.5 as metric_value,
        {text} as metadata from metrics where metric_type = 'metric' and metric_timestamp >= timestamptz '{at(320)}'
    """)
    world.run("train", "score", "alert", "plot", as_of=at(329))
    assert world.uncovered(at(329) - WINDOW).is_empty()
    assert world.alerts(kind="anomaly", status="open").is_empty()
