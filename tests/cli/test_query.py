"""`anomflow query`: reads what is there, and can do nothing else, on DuckDB and SQLite."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from anomflow.errors import SqlError
from anomflow.sql.reading import check_reading
from tests.cli.commands_run import invoke, read
from tests.world import START, Clock, World, at, series


@pytest.fixture(scope="module", params=["duckdb", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("query")
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("ANOMFLOW_HOME", str(folder / "home"))
        world = World(folder, Clock(START))
        world.put(series("[red]\x1b\x9b\u202eorders", 30))
        world.configure(f"ingest_db: duckdb\ndb: {request.param}\n")
        world.run("ingest", as_of=at(30))
        yield world


def test_rows_come_as_json_csv_and_table(shop: World):
    sql = "select metric_name as name, count(*) as n, null as empty from metrics group by 1"
    told = read(shop, "query", "shop", sql)
    assert told == {
        "columns": ["name", "n", "empty"],
        "rows": [{"name": "[red]\x1b\x9b\u202eorders", "n": 30, "empty": None}],
        "truncated": False,
    }
    rows = list(csv.reader(io.StringIO(invoke(shop, "query", "shop", sql, "--format", "csv").stdout)))
    assert rows == [["name", "n", "empty"], ["[red]\x1b\x9b\u202eorders", "30", ""]]
    assert invoke(shop, "query", "shop", sql).stdout.splitlines()[1] == "[red]\\u001b\\u009b\\u202eorders  30      -"


def test_json_shows_no_character_that_steers_a_terminal(shop: World):
    shown = invoke(shop, "query", "shop", "select metric_name from metrics limit 1", "--format", "json").stdout
    assert "\\u001b\\u009b\\u202e" in shown
    assert json.loads(shown)["rows"][0]["metric_name"] == "[red]\x1b\x9b\u202eorders"


def test_a_query_comes_from_a_file_or_the_standard_input(shop: World, tmp_path: Path):
    (tmp_path / "one.sql").write_text("select 1 as one -- the end")
    assert read(shop, "query", "shop", f"@{tmp_path}/one.sql")["rows"] == [{"one": 1}]
    assert invoke(shop, "query", "shop", "-", stdin="select 2 as two;\n").stdout.splitlines() == ["two", "  2"]


def test_the_limit_cuts_in_order_and_says_so(shop: World):
    sql = "select metric_timestamp from metrics order by metric_timestamp desc"
    told = read(shop, "query", "shop", sql, "--limit", "2")
    assert told["truncated"]
    hours = [str(row["metric_timestamp"])[11:13] for row in told["rows"]]
    assert hours == ["05", "04"]
    assert "only the first 2 rows" in invoke(shop, "query", "shop", sql, "--limit", "2").stderr


REFUSED = [
    "delete from metrics",
    "update metrics set metric_value = 0",
    "insert into metrics select * from metrics",
    "drop table metrics",
    "create table x (a int)",
    "create view v as select 1",
    "attach 'other.db' as other",
    "pragma user_version = 3",
    "vacuum",
    "begin",
    "commit; drop table metrics",
    "select 1; drop table metrics",
    "select load_extension('x')",
    "explain select 1",
    "",
    "-- nothing",
    "selec 1",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_anything_but_reading_is_refused_before_it_runs(shop: World, sql: str):
    before = read(shop, "query", "shop", "select count(*) as n from metrics")
    result = invoke(shop, "query", "shop", "--", sql)
    assert result.exit_code == 2, result.output
    assert "allowed" in result.stderr or "is refused" in result.stderr
    assert "Traceback" not in result.output
    assert read(shop, "query", "shop", "select count(*) as n from metrics") == before


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("duckdb", "copy metrics to 'x.csv'"),
        ("duckdb", "install httpfs"),
        ("duckdb", "load httpfs"),
        ("duckdb", "set enable_external_access = true"),
        ("duckdb", "export database 'x'"),
        ("duckdb", "call pragma_version()"),
        ("duckdb", "use memory"),
        ("postgres", "with gone as (delete from metrics returning *) select * from gone"),
        ("postgres", "select 1 into other"),
        ("postgres", "select pg_terminate_backend(1)"),
        ("postgres", "select * from metrics for update"),
        ("postgres", "select nextval('s')"),
        ("sqlite", "select writefile('x', 'y')"),
    ],
)
def test_what_writes_in_another_dialect_is_refused(dialect: str, sql: str):
    with pytest.raises(SqlError):
        check_reading(sql, dialect)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("duckdb", "with a as (select 1 as x) select * from a union all select 2"),
        ("duckdb", "from metrics"),
        ("duckdb", "values (1), (2)"),
        ("duckdb", "describe metrics"),
        ("duckdb", "show tables"),
        ("duckdb", "summarize metrics"),
        ("duckdb", "select 'drop table metrics; --' as text;"),
        ("sqlite", "select replace('a', 'a', 'b')"),
        ("postgres", "select count(*) filter (where metric_value > 1) from metrics"),
    ],
)
def test_what_only_reads_is_let_through(dialect: str, sql: str):
    assert check_reading(sql, dialect)[0] == sql.rstrip(";")


@pytest.mark.parametrize("sql", ["select * from read_csv('{file}')", "select * from read_text('{file}')", "select * from '{file}'"])
def test_duckdb_reads_no_file_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str):
    (tmp_path / "home").mkdir()
    (tmp_path / "secret.csv").write_text("a\nhunter2\n")
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    world = World(tmp_path, Clock(START))
    world.put(series("orders", 3))
    world.configure()
    result = invoke(world, "query", "shop", sql.format(file=tmp_path / "secret.csv"))
    assert result.exit_code == 1
    assert "hunter2" not in result.output


def test_a_database_that_is_not_there_is_said_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    world = World(tmp_path, Clock(START))
    world.configure()
    result = invoke(world, "query", "shop", "select 1")
    assert result.exit_code == 1
    assert "does not exist yet; run a job first: anomflow run ingest shop" in result.stderr
    assert not (tmp_path / "home").exists()


def test_an_error_of_the_engine_is_told_in_its_words(shop: World):
    result = invoke(shop, "query", "shop", "select nonsense from metrics")
    assert result.exit_code == 1
    assert "nonsense" in result.stderr
