"""Small real sessions over SQLite and DuckDB files: SQL that runs, nothing more than the ledger needs.

The one place to change when the warehouses of ``blocks`` take over: ``open_file`` returns what has ``writing()``.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import polars.selectors as cs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anomflow.frames import Table

ENGINES = ("sqlite", "duckdb")


def open_file(engine: str, folder: Path) -> File:
    return File(engine, folder / f"ledger.{engine}")


@dataclass(frozen=True)
class File:
    dialect: str
    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)  # of one writer at a time, as SQLite has it by itself

    @contextmanager
    def writing(self) -> Iterator[FileSession]:
        with self.lock if self.dialect == "duckdb" else nullcontext(), closing(self._connect()) as connection:
            connection.execute("begin immediate" if self.dialect == "sqlite" else "begin transaction")
            yield FileSession(connection, self.dialect)
            connection.execute("commit")  # closing undoes what was not committed

    reading = writing

    @contextmanager
    def interleaving(self, after: int, other: Callable[[], object]) -> Iterator[FileSession]:
        """Open a session without isolation, in which another actor does something after so many statements."""
        with closing(self._connect()) as connection:
            yield InterleavedSession(connection, self.dialect, {after: other})

    def _connect(self) -> Any:
        if self.dialect == "sqlite":
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            connection.execute("pragma synchronous = off")  # hundreds of files; no test cuts the power
            return connection
        return duckdb.connect(str(self.path))


class FileSession:
    tie_break = "rowid"

    def __init__(self, connection: Any, dialect: str) -> None:
        self.connection = connection
        self.dialect = dialect
        self.statements = 0

    @property
    def ledger(self) -> FileSession:
        return self

    def read(self, sql: str) -> pl.DataFrame:
        self.statements += 1
        cursor = self.connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return pl.DataFrame([dict(zip(names, row, strict=True)) for row in cursor.fetchall()], infer_schema_length=None)

    def read_table(self, table: Table, name: str, where: str = "true") -> pl.DataFrame:
        self.statements += 1
        columns = ", ".join(map(self.identifier, table.columns))
        rows = self.connection.execute(f"select {columns} from {self.identifier(name)} where {where}").fetchall()
        texts = {column: pl.String() if _is_time(kind) else kind for column, kind in table.columns.items()}
        frame = pl.DataFrame([tuple(map(_to_text, row)) for row in rows], schema=texts, orient="row")
        times = [column for column, kind in table.columns.items() if _is_time(kind)]
        return frame.with_columns(pl.col(times).str.to_datetime("%Y-%m-%d %H:%M:%S%.6f", time_unit="us", time_zone="UTC"))

    def execute(self, sql: str) -> int:
        self.statements += 1
        cursor = self.connection.execute(sql)
        return int(cursor.rowcount if self.dialect == "sqlite" else cursor.fetchone()[0])

    def ensure_table(self, table: Table, name: str) -> None:
        kinds = {pl.String(): "text", pl.Float64(): "double precision", pl.Int64(): "bigint"}
        columns = ", ".join(f"{self.identifier(column)} {kinds.get(kind, 'timestamp')}" for column, kind in table.columns.items())
        key = ", ".join(map(self.identifier, table.key))
        self.connection.execute(f"create table if not exists {self.identifier(name)} ({columns}, primary key ({key}))")

    def insert_missing(self, table: Table, name: str, rows: pl.DataFrame) -> int:
        self.statements += 1
        before = self._count(name)
        self._insert(self.identifier(name), rows.select(list(table.columns)))
        return self._count(name) - before

    def _insert(self, name: str, rows: pl.DataFrame) -> None:
        if self.dialect == "duckdb":
            self.connection.register("new_rows", rows.with_columns(cs.temporal().dt.replace_time_zone(None)))
            self.connection.execute(f"insert into {name} select * from new_rows on conflict do nothing")
        else:
            values = [tuple(map(_to_text, row)) for row in rows.iter_rows()]
            places = ", ".join("?" * rows.width)
            self.connection.executemany(f"insert into {name} values ({places}) on conflict do nothing", values)

    def upsert(self, table: Table, name: str, rows: pl.DataFrame) -> None:
        raise AssertionError(f"{name}: the ledger replaces no whole row of {table} by {rows}: a message id would be lost")

    def delete_keys(self, table: Table, name: str, keys: pl.DataFrame) -> int:
        raise AssertionError(f"{name}: the ledger deletes nothing, {keys} of {table} neither")

    def literal(self, value: object) -> str:
        if value is None:
            return "null"
        if isinstance(value, datetime):
            return ("timestamp " if self.dialect == "duckdb" else "") + f"'{_to_text(value)}'"
        return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)

    def identifier(self, name: str) -> str:
        return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))

    def _count(self, name: str) -> int:
        return int(self.connection.execute(f"select count(*) from {self.identifier(name)}").fetchone()[0])


class InterleavedSession(FileSession):
    def __init__(self, connection: Any, dialect: str, others: dict[int, Callable[[], object]]) -> None:
        super().__init__(connection, dialect)
        self.others = others

    def read_table(self, table: Table, name: str, where: str = "true") -> pl.DataFrame:
        return self._then(super().read_table(table, name, where))

    def execute(self, sql: str) -> int:
        return self._then(super().execute(sql))

    def insert_missing(self, table: Table, name: str, rows: pl.DataFrame) -> int:
        return self._then(super().insert_missing(table, name, rows))

    def _then(self, result: Any) -> Any:
        self.others.pop(self.statements, lambda: None)()
        return result


def _is_time(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Datetime)


def _to_text(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M:%S.%f")
