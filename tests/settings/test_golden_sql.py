"""The queries of every job in every dialect, as text, and run on the engines that are here.

After a change of a template: `PYTHONPATH=. python tests/settings/test_golden_sql.py` writes the texts anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from anomflow.batches import Batch
from anomflow.sections.common import CommonSpec
from anomflow.spec import BatchSpec
from anomflow.sql import REQUIRED_COLUMNS, SHIPPED, AnsiQuoting, Query, build_query, translate
from tests.conformance.engines import ENGINES

if TYPE_CHECKING:
    from tests.conformance.engine import Engine

GOLDEN: Final = Path(__file__).parent.parent / "golden"
DIALECTS: Final = ("duckdb", "sqlite", "postgres", "redshift", "bigquery", "snowflake", "clickhouse")
QUERIES: Final[tuple[Query, ...]] = (
    "train",
    "score",
    "scores",
    "change",
    "plot",
    "overview",
    "coverage",
    "freshness",
    "cadence",
    "gaps",
    "arrivals",
)
TIE_BREAKS: Final = {
    "duckdb": "rowid",
    "sqlite": "rowid",
    "redshift": "coalesce(metric_value, cast('-1.7976931348623157e308' as double precision))",
}
BY_VALUE: Final = "coalesce(metric_value, -1.7976931348623157e308)"
TIME_LITERALS: Final = {
    "sqlite": "'{:%Y-%m-%d %H:%M:%S.%f}'",
    "redshift": "cast('{:%Y-%m-%d %H:%M:%S.%f}+00:00' as timestamptz)",
    "bigquery": "TIMESTAMP '{:%Y-%m-%d %H:%M:%S.%f}+00:00'",
    "snowflake": "'{:%Y-%m-%d %H:%M:%S.%f}+00:00'::timestamp_ltz",
    "clickhouse": "toDateTime64('{:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')",
}


@dataclass(frozen=True)
class Quoted(AnsiQuoting):
    """An engine's names and values, as its adapter would write them."""

    def literal(self, value: object) -> str:
        if isinstance(value, datetime):
            return TIME_LITERALS.get(self.dialect, "TIMESTAMP WITH TIME ZONE '{:%Y-%m-%d %H:%M:%S.%f}+00:00'").format(value)
        text = super().literal(value)
        return text.replace("''", "\\'") if self.dialect == "bigquery" else text

    def identifier(self, name: str) -> str:
        if self.dialect == "snowflake":
            return super().identifier(name.upper())
        return f"`{name}`" if self.dialect in {"bigquery", "clickhouse"} else super().identifier(name)


def _at(hour: int) -> datetime:
    return datetime(2024, 1, 1, hour, tzinfo=UTC)


ALL: Final[dict[str, object]] = {
    "since": _at(1),
    "until": _at(5),
    "checkpoint": _at(3),
    "max_n": 2,
    "metrics": ["a'; drop table x; --", "b"],
}
VARIABLES: Final[dict[Query, tuple[str, ...]]] = {
    "train": ("since", "until", "max_n", "metrics"),
    "score": ("since", "until", "checkpoint", "metrics"),
    "scores": ("since", "metrics"),
    "change": ("since", "until", "max_n"),
    "plot": ("until", "max_n", "metrics"),
    "overview": ("until",),
    "coverage": ("since", "until", "checkpoint"),
    "freshness": ("since", "until"),
    "cadence": ("since", "until", "metrics"),
    "gaps": ("since", "until", "metrics"),
    "arrivals": ("since", "until"),
}


def _build(query: Query, dialect: str, **changed: object) -> str:
    batch = Batch(BatchSpec(common=CommonSpec(metric_batch="sales")), Path("sales.yaml"), SHIPPED, {})
    variables = {name: ALL[name] for name in VARIABLES[query]} | changed
    return build_query(query, batch, Quoted(dialect, TIE_BREAKS.get(dialect, BY_VALUE)), variables)


@pytest.mark.parametrize(("dialect", "query"), list(product(DIALECTS, QUERIES)))
def test_the_text_is_the_golden_one(dialect: str, query: Query) -> None:
    golden = (GOLDEN / dialect / f"{query}.sql").read_text(encoding="utf-8")

    assert _build(query, dialect) == golden.removesuffix("\n")


@pytest.fixture(params=ENGINES.values(), ids=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Filled:
    return Filled(request.param, request.param.build(tmp_path, 20.0))


@dataclass(frozen=True)
class Filled:
    """An engine with a table as Anomstack makes it: no key, duplicates as they come."""

    engine: Engine
    warehouse: Any

    def build(self, query: Query, **changed: object) -> str:
        return _build(query, self.warehouse.dialect, **changed)

    def run(self, sql: str, rows: list[tuple[Any, ...]] | None = None) -> list[dict[str, Any]]:
        kinds = f"metric_timestamp {self.engine.time_type}, metric_batch text, metric_name text, metric_type text"
        table = f"create table metrics ({kinds}, metric_value double precision, metadata text)"
        with self.warehouse.writing() as session:
            listed = [", ".join(map(session.literal, (_at(hour), *others))) for hour, *others in rows or ROWS]
        self.engine.run_raw(self.warehouse, [table, *(f"insert into metrics values ({values})" for values in listed)])
        with self.warehouse.reading() as session:
            return session.read(sql).to_dicts()


def _hour(moment: str | datetime) -> int:
    return int(moment[11:13]) if isinstance(moment, str) else moment.astimezone(UTC).hour


def _hours(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple({**row, "metric_timestamp": _hour(row["metric_timestamp"])}.values()) for row in found]


OURS = '{"value":1,"model":"m"}'
ROWS: list[tuple[Any, ...]] = [
    (5, "sales", "b", "metric", 5.0, None),
    (4, "sales", "b", "metric", 4.0, None),
    (4, "sales", "b", "metric", 4.5, None),
    (3, "sales", "b", "metric", 3.0, None),
    (2, "sales", "b", "metric", None, None),
    (2, "sales", "b", "score", 0.1, OURS),
    (3, "sales", "b", "score", 0.1, ""),
    (4, "sales", "b", "score", 0.1, '{"value":0,"model":"old"}'),
    (4, "sales", "b", "score", 0.2, OURS),
    (6, "sales", "b", "metric", 6.0, None),
    (0, "sales", "b", "metric", 0.0, None),
    (4, "sales", "c", "metric", 9.0, None),
    (4, "users", "b", "metric", 9.0, None),
    (4, "sales", "b", "alert", 1.0, None),
    (1, "sales", "a'; drop table x; --", "metric", 1.0, None),
]
EVIL = "a'; drop table x; --"


def test_train_reads_the_newest_timestamps_of_each_metric(engine: Filled) -> None:
    found = engine.run(engine.build("train"))

    assert _hours(found) == [(EVIL, 1, 1.0), ("b", 4, 4.0), ("b", 4, 4.5), ("b", 5, 5.0)]
    assert tuple(found[0]) == REQUIRED_COLUMNS["train"]


@pytest.mark.parametrize(("metrics", "names"), [(None, {EVIL, "b", "c"}), ([], set()), (["c"], {"c"})])
def test_train_reads_all_metrics_or_those_asked_for(metrics: list[str] | None, names: set[str], engine: Filled) -> None:
    found = engine.run(engine.build("train", metrics=metrics))

    assert {row["metric_name"] for row in found} == names


def test_score_reads_what_is_after_the_checkpoint_and_what_has_no_score_of_ours(engine: Filled) -> None:
    found = engine.run(engine.build("score"))

    assert _hours(found) == [
        (EVIL, 1, 1.0, None),
        ("b", 3, 3.0, None),
        ("b", 4, 4.0, OURS),
        ("b", 4, 4.5, OURS),
        ("b", 5, 5.0, None),
    ]
    assert tuple(found[0]) == REQUIRED_COLUMNS["score"]


def test_with_the_checkpoint_at_the_start_score_reads_the_whole_window(engine: Filled) -> None:
    found = engine.run(engine.build("score", checkpoint=_at(1), metrics=["b"]))

    assert [_hour(row["metric_timestamp"]) for row in found] == [2, 3, 4, 4, 5]


def test_scores_are_ours_and_the_newest_of_a_time_is_last(engine: Filled) -> None:
    found = engine.run(engine.build("scores", since=_at(2), metrics=None))

    assert _hours(found) == [("b", 2, OURS), ("b", 4, '{"value":0,"model":"old"}'), ("b", 4, OURS)]
    assert tuple(found[0]) == REQUIRED_COLUMNS["scores"]


def test_plot_reads_the_newest_rows_of_each_metric_and_of_its_scores(engine: Filled) -> None:
    found = engine.run(engine.build("plot"))

    assert [(row["metric_name"], row["metric_type"], _hour(row["metric_timestamp"])) for row in found] == [
        (EVIL, "metric", 1),
        ("b", "metric", 4),
        ("b", "metric", 4),
        ("b", "metric", 5),
        ("b", "score", 3),
        ("b", "score", 4),
        ("b", "score", 4),
    ]
    assert tuple(found[0]) == REQUIRED_COLUMNS["plot"]


def test_changes_are_looked_for_in_the_newest_rows(engine: Filled) -> None:
    found = engine.run(engine.build("change"))

    assert _hours(found)[-3:-1] == [("b", 4, 4.5), ("b", 5, 5.0)]
    assert tuple(found[0]) == REQUIRED_COLUMNS["change"]


def test_freshness_reads_the_newest_row_of_each_metric(engine: Filled) -> None:
    found = engine.run(engine.build("freshness"))

    assert [(row["metric_name"], _hour(row["last_point"])) for row in found] == [(EVIL, 1), ("b", 5), ("c", 4)]


def test_cadence_reads_the_pauses_of_each_week_before_the_newest_row(engine: Filled) -> None:
    (found,) = engine.run(engine.build("cadence"))

    name, week, pauses, total, longest = found.values()
    assert (name, week, pauses) == ("b", 0, 3)
    assert (float(total), float(longest)) == pytest.approx((3 * 3600, 3600), abs=3)  # SQLite counts in days, to a second


def test_arrivals_counts_the_metrics_of_each_time(engine: Filled) -> None:
    found = engine.run(engine.build("arrivals"))

    assert [(_hour(row["metric_timestamp"]), row["metrics"]) for row in found] == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 1)]


def test_gaps_reads_the_pauses_of_regular_metrics_that_are_longer_than_a_step(engine: Filled) -> None:
    hours = (*range(6), 8, *range(9, 15), 20)
    rows: list[tuple[Any, ...]] = [(hour, "sales", "b", "metric", 1.0, None) for hour in hours]
    rows += [(hour, "sales", EVIL, "metric", 1.0, None) for hour in (0, 1, 5, 11, 19)]
    found = engine.run(engine.build("gaps", since=_at(0), until=_at(23), metrics=None), rows)

    pauses = [tuple(row.values()) for row in found]
    facts = [(name, _hour(before), _hour(after), *map(float, numbers), _hour(first)) for name, before, after, *numbers, first in pauses]
    assert [fact[:3] for fact in facts] == [("b", 5, 8), ("b", 14, 20)]
    assert [fact[3] for fact in facts] == pytest.approx([3 * 3600, 6 * 3600], abs=1)
    assert {fact[4:] for fact in facts} == {(3600.0, 11.0, 13.0, 0)}


@pytest.mark.parametrize(("query", "hours"), [("overview", {"last_point": 5}), ("coverage", {"last_point": 5, "last_earlier": 2})])
def test_what_status_asks_is_answered(engine: Filled, query: Query, hours: dict[str, int]) -> None:
    found = {row["metric_name"]: row for row in engine.run(engine.build(query))}

    assert tuple(found["c"]) == REQUIRED_COLUMNS[query]
    assert {name: _hour(found["b"][name]) for name in hours} == hours


def test_one_translation_serves_all_cut_offs_and_names() -> None:
    before = translate.cache_info().misses
    _build("train", "sqlite", metrics=["x"])
    _build("train", "sqlite", since=_at(2), metrics=["y", "z"])

    assert translate.cache_info().misses <= before + 1


def _write() -> None:
    for dialect, query in product(DIALECTS, QUERIES):
        path = GOLDEN / dialect / f"{query}.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{_build(query, dialect)}\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
