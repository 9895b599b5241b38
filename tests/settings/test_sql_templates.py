from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.batches import load_batch
from anomflow.errors import FrameError, SqlError
from anomflow.sql import AnsiQuoting, Template, build_query, check_columns, read_template, render, translate

WriteFiles = Callable[[dict[str, str]], Path]

HOSTILE = [
    "a'; drop table x; --",
    'a"b',
    "a/b\n",
    "`a`",
    "__anomflow_0__",
    "'__anomflow_1__'",
    "{{ batch }}",
    "\\' or 1=1",
    "é√😀",
    "%s ? :x $1",
]


def _render(text: str, folder: Path | None = None, **variables: object) -> str:
    return render(Template(text, "x.sql", 1, folder), variables, AnsiQuoting())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select {{ n }}", "select 5"),
        ("select {{ name | literal }}", "select 'it''s'"),
        ("select {{ name | identifier }}", """select "it's\""""),
        ("select {{ 'a.b' | identifier }}", 'select "a"."b"'),
        ("in ({{ ['a', n, none, true] | literal }})", "in ('a', 5, null, true)"),
        ("in ({{ [] | literal }})", "in (null)"),
        ("{{ name | literal | literal }}", "'it''s'"),
        ("{% for i in range(2) %}{{ i }} {% endfor %}", "0 1 "),
    ],
)
def test_names_and_values_are_quoted(text: str, expected: str) -> None:
    assert _render(text, n=5, name="it's") == expected


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("select 1\nfrom {{ tabel }}", 2, "'tabel' is undefined. Defined: table"),
        ("select\n\n{{ tabel | literal }}", 3, "'tabel' is undefined. Defined: table"),
        ("{{ tabel | identifier }}", 1, "'tabel' is undefined. Defined: table"),
        ("{{ table.schema }}", 1, "has no attribute 'schema'"),
        ("select 1\n{% endif %}", 2, "Encountered unknown tag 'endif'"),
        ("\n{{ ''.__class__.__mro__ }}", 2, "unsafe"),
        ("{{ 1 / 0 }}", 1, "ZeroDivisionError"),
        ("{{ range(10000000) }}", 1, "OverflowError"),
        ("{{ table | upcase }}", 1, "No filter named 'upcase'"),
        ("a\n{% include './none.sql' %}", 2, "./none.sql: there is no such file"),
        ("a\n{% include '../../etc/passwd' %}", 2, "there is no such file"),
        ("{% include '/etc/passwd' %}", 1, "there is no such file"),
        ("{% from './m.sql' import x %}{{ x(1) }}", 1, "there is no such file"),
        ("{% extends './none.sql' %}", 1, "there is no such file"),
    ],
)
def test_what_cannot_be_rendered_is_told_with_its_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(SqlError) as caught:
        _render(text, tmp_path, table="t")

    assert (caught.value.where, caught.value.line) == ("x.sql", line)
    assert words in caught.value.message


def test_the_line_is_that_of_the_file_that_the_text_stands_in() -> None:
    template = Template("select 1\nfrom {{ tabel }}", "x.yaml", 7)

    with pytest.raises(SqlError, match=r"^x\.yaml:8: 'tabel' is undefined"):
        render(template, {}, AnsiQuoting())


def test_includes_and_macros_come_from_the_metrics_folder(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "macros.sql").write_text("{% macro pick(name) %}select {{ name | identifier }}{% endmacro %}")
    (tmp_path / "lib" / "where.sql").write_text("where b = {{ name | literal }}")

    text = "{% from './lib/macros.sql' import pick %}{{ pick('a') }} {% include 'lib/where.sql' %}"

    assert _render(text, tmp_path, name="x") == "select \"a\" where b = 'x'"


def test_an_error_in_an_included_file_names_that_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "part.sql").write_text("select 1\n\nfrom {{ tabel }}")

    with pytest.raises(SqlError, match=r"part\.sql:3: 'tabel' is undefined"):
        _render("{% include './part.sql' %}", tmp_path)


def test_a_link_does_not_lead_out_of_the_metrics_folder(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (tmp_path / "secret.sql").write_text("select 'secret'")
    (folder / "link.sql").symlink_to(tmp_path / "secret.sql")

    with pytest.raises(SqlError, match="there is no such file"):
        _render("{% include './link.sql' %}", folder)


@pytest.mark.parametrize(
    ("sql", "dialect", "expected"),
    [
        ('select "A b", c from t', "sqlite", 'SELECT\n  "A b",\n  c\nFROM t'),
        ('select "A b", c from t', "bigquery", "SELECT\n  `A b`,\n  c\nFROM t"),
        ("select 1;", "duckdb", "select 1"),
        ("select 1; -- the end", "sqlite", "SELECT\n  1"),
    ],
)
def test_names_keep_their_quotes_in_translation(sql: str, dialect: str, expected: str) -> None:
    assert translate(sql, dialect).split(" /*")[0].strip() == expected


@pytest.mark.parametrize(
    ("sql", "dialect", "words"),
    [
        ("", "sqlite", "holds 0 statements"),
        ("-- nothing", "sqlite", "holds 0 statements"),
        ("select 1; drop table x", "sqlite", "holds 2 statements; exactly one is allowed: select 1; drop table x"),
        ("select 1; drop table x", "duckdb", "holds 2 statements"),
        ("select a b c from t", "sqlite", "not DuckDB SQL: line 1"),
        ("select 'open", "sqlite", "not DuckDB SQL"),
        ("select 1", "klingon", "cannot be translated to klingon"),
        ("from t pivot (sum(x) for y in (1, 2))", "sqlite", "cannot be translated to sqlite: PIVOT unsupported"),
        ("select * from t tablesample 10%", "sqlite", "cannot be translated to sqlite: TABLESAMPLE unsupported"),
        ("show tables", "sqlite", "cannot be translated to sqlite"),
    ],
)
def test_what_cannot_be_translated_is_an_error(sql: str, dialect: str, words: str) -> None:
    with pytest.raises(SqlError) as caught:
        translate(sql, dialect)

    assert words in str(caught.value)


def test_qualify_reaches_an_engine_that_has_none() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t as select 1 as a union select 2")
    found = connection.execute(translate("select a from t qualify row_number() over (order by a desc) = 1", "sqlite")).fetchall()
    connection.close()

    assert found == [(2,)]


@dataclass(frozen=True)
class Engine(AnsiQuoting):
    """Texts of a real engine's kind: SQLite and DuckDB both take standard quotes."""

    def literal(self, value: object) -> str:
        return super().literal(value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value)


def _time(hour: int) -> datetime:
    return datetime(2024, 1, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
def test_hostile_names_are_values_and_nothing_else(name: str, dialect: str, write_metrics: WriteFiles) -> None:
    batch = load_batch(write_metrics({"x.yaml": "metric_batch: x\ndisable_ingest: true\n"}), "x", {})
    engine = Engine(dialect, "rowid")
    variables = {"since": _time(0), "until": _time(9), "max_n": 5, "metrics": [name, "other"], "batch": name}
    create = "create table metrics (metric_timestamp {}, metric_batch text, metric_name text, metric_type text, metric_value double)"
    insert = "insert into metrics values ('2024-01-01 01:00:00.000000', ?, ?, 'metric', 1)"

    sql = build_query("train", batch, engine, variables)

    connection: sqlite3.Connection | duckdb.DuckDBPyConnection
    connection = sqlite3.connect(":memory:") if dialect == "sqlite" else duckdb.connect()
    connection.execute(create.format("text" if dialect == "sqlite" else "timestamp"))
    connection.execute(insert, (name, name))
    connection.execute(insert, ("x", name))
    found = connection.execute(sql).fetchall()
    connection.close()
    assert [row[0] for row in found] == [name]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_any_text_comes_back_from_a_literal_as_it_went_in(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    (found,) = connection.execute(_render("select {{ value | literal }}", value=text)).fetchone()
    connection.close()

    assert found == text


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"until": _time(1), "max_n": 5}, "'since' is undefined"),
        ({"since": _time(0), "until": _time(1), "max_n": 5, "untl": 1}, "takes no variable untl"),
        ({"since": _time(0), "until": _time(1), "max_n": 5, "metrics": "a"}, "`metrics` is a list"),
    ],
)
def test_a_wrong_variable_of_a_job_is_an_error(variables: dict[str, object], words: str, write_metrics: WriteFiles) -> None:
    batch = load_batch(write_metrics({"x.yaml": "metric_batch: x\ndisable_ingest: true\n"}), "x", {})

    with pytest.raises((SqlError, TypeError), match=words):
        build_query("train", batch, Engine(), variables)


def test_an_ingest_query_keeps_its_own_dialect(write_metrics: WriteFiles) -> None:
    text = "metric_batch: x\nvars: {country: no}\n"
    text += "ingest_sql: |\n  select a:b, `c` from {{ table_key }}\n  where d = {{ country | literal }};\n"
    batch = load_batch(write_metrics({"x.yaml": text}), "x", {})

    sql = build_query("ingest", batch, Engine("bigquery"), {})

    assert sql.strip() == "select a:b, `c` from metrics\nwhere d = 'no';"


def test_a_batch_replaces_a_default_template(write_metrics: WriteFiles) -> None:
    text = "metric_batch: x\ndisable_ingest: true\nvars: {kind: metric}\n"
    text += "train_sql: |\n  select * from {{ table }}\n  where t > {{ since }} and k = {{ kind | literal }}\n"
    batch = load_batch(write_metrics({"x.yaml": text}), "x", {})

    sql = build_query("train", batch, Engine("bigquery"), {"since": _time(3)})

    assert " ".join(sql.split()) == "SELECT * FROM \"metrics\" WHERE t > '2024-01-01 03:00:00.000000' AND k = 'metric'"


def test_the_metrics_folder_may_replace_a_default_template_for_all(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"defaults/sql/train.sql": "select 1"})

    assert read_template(folder, "train").text == "select 1"
    assert read_template(folder, "score").where.endswith("metrics/defaults/sql/score.sql")


def test_missing_columns_are_named() -> None:
    frame = pl.DataFrame({"metric_name": ["a"], "value": [1.0]})

    with pytest.raises(FrameError) as caught:
        check_columns(frame, "ingest", "metrics/x/x.sql")

    assert str(caught.value) == (
        "metrics/x/x.sql: the ingest query returns no column metric_timestamp, metric_value; found: metric_name, value; "
        "needed: metric_timestamp, metric_name, metric_value"
    )
    check_columns(frame.with_columns(metric_timestamp=None, metric_value=None), "train", "metrics/x/x.sql")
