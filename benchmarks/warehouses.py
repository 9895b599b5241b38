"""Write and read a million rows beside the plain driver's bulk path; exit code 1 where a ratio is above its budget.

    python benchmarks/warehouses.py [duckdb] [postgres]

The plain path has no duplicates removed, no transaction with other writers, no types checked: the driver's bulk load into an
empty table with the same key, and its fetch of all columns. Both run in turns in one process; the least of three counts.
A server is started as `make test-services` does.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a script, only its own folder is on the path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 1_000_000
BUDGET = 2.0
TURNS = 3


@dataclass(frozen=True)
class Subject:
    """A warehouse, and the same done by its driver: make an empty table, load rows into it, fetch them."""

    warehouse: Any
    clear: Callable[[], None]
    write: Callable[[pl.DataFrame], None]
    read: Callable[[], pl.DataFrame]


@contextmanager
def open_duckdb(folder: Path) -> Iterator[Subject]:
    import duckdb

    from blocks.warehouses.duckdb import DuckDBWarehouse

    with closing(duckdb.connect(str(folder / "plain.duckdb"))) as plain:
        plain.execute("set TimeZone = 'UTC'")
        kinds = "metric_timestamp timestamptz, metric_batch varchar, metric_name varchar, metric_type varchar"

        def write(rows: pl.DataFrame) -> None:
            plain.register("rows", rows.to_arrow())
            plain.execute("insert into metrics select * from rows")

        yield Subject(
            DuckDBWarehouse(path=str(folder / "ours.duckdb")),
            lambda: plain.execute(f"create or replace table metrics ({kinds}, metric_value double, metadata varchar)") and None,
            write,
            lambda: pl.DataFrame(plain.sql("select * from metrics")),
        )


@contextmanager
def open_postgres(folder: Path) -> Iterator[Subject]:
    from tests.services.service import install_packages

    engine = importlib.import_module("tests.services.engines.postgres")
    sys.path.append(str(install_packages("postgres", engine.SERVICE.packages)))
    with ExitStack() as stack:
        stack.enter_context(engine.SERVICE.start(folder))
        warehouse = engine.build_warehouse(folder)
        plain = stack.enter_context(closing(warehouse._connect()))  # noqa: SLF001 - the driver's own connection
        run = lambda sql: plain.cursor().execute(sql)  # noqa: E731 - three short statements
        key = "primary key (metric_batch, metric_type, metric_timestamp, metric_name)"
        kinds = "metric_timestamp timestamptz, metric_batch text, metric_name text, metric_type text, metric_value float8, metadata text"

        def clear() -> None:
            run("drop table if exists plain")
            run(f"create table plain ({kinds}, {key})")

        def read() -> pl.DataFrame:
            with plain.cursor() as cursor:
                cursor.execute("select * from plain")
                fetched: pl.DataFrame = cursor.fetch_polars()
                return fetched

        yield Subject(warehouse, clear, lambda rows: plain.cursor().adbc_ingest("plain", rows, mode="append") and None, read)


OPENERS = {"duckdb": open_duckdb, "postgres": open_postgres}


def measure(subject: Subject, rows: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Return the least seconds of each kind, plain and ours."""
    from anomflow.frames import OBSERVATIONS

    def write_ours() -> None:
        with subject.warehouse.writing() as session:
            session.ensure_table(OBSERVATIONS, "metrics")
            session.upsert(OBSERVATIONS, "metrics", rows)

    def read_ours() -> pl.DataFrame:
        with subject.warehouse.reading() as session:
            found: pl.DataFrame = session.read_table(OBSERVATIONS, "metrics")
            return found

    taken: dict[str, list[float]] = {name: [] for name in ("plain write", "plain read", "write", "read")}
    for _ in range(TURNS):
        subject.clear()
        taken["plain write"].append(clock(lambda: subject.write(rows)))
        taken["plain read"].append(clock(lambda: check(subject.read())))
        with subject.warehouse.writing() as session:
            session.ensure_table(OBSERVATIONS, "metrics")
            session.execute("drop table metrics")
        taken["write"].append(clock(write_ours))
        taken["read"].append(clock(lambda: check(read_ours())))
    return {kind: (min(taken[f"plain {kind}"]), min(taken[kind])) for kind in ("write", "read")}


def clock(action: Callable[[], None]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def check(found: pl.DataFrame) -> None:
    assert found.height == COUNT


def main(names: list[str]) -> int:
    from tests.conformance.rows import build_many

    rows, missed = build_many(COUNT), 0
    print("| engine | | plain driver | Anomflow | ratio | budget |\n|---|---|---|---|---|---|")
    for name in names or list(OPENERS):
        with tempfile.TemporaryDirectory() as folder, OPENERS[name](Path(folder)) as subject:
            for kind, (plain, ours) in measure(subject, rows).items():
                missed += ours > BUDGET * plain
                print(f"| {name} | {kind} | {plain:.2f} s | {ours:.2f} s | {ours / plain:.2f} | {BUDGET:.0f} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
