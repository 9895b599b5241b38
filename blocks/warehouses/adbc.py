"""The ADBC base: a session over any driver of ``adbc-driver-manager``; an engine adds how to connect and what differs."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.relational import RelationalSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adbc_driver_manager.dbapi import Connection, Cursor

STAGE: Final = "anomflow_stage"


class AdbcSession(RelationalSession):
    """A session over an ADBC connection in autocommit mode, which begins and ends its transaction by statements.

    Every statement has a cursor of its own: some drivers fail on one that was used for bulk loading.
    """

    statement_options: ClassVar[Mapping[str, str]] = {}
    begin_statement: ClassVar[str] = "begin"

    def __init__(self, connection: Connection, location: str, *, writable: bool) -> None:
        super().__init__(location, writable=writable)
        self.connection = connection

    def begin(self) -> None:
        self._run(self.begin_statement if self.writable else "begin")

    def commit(self) -> None:
        self._run("commit")

    def rollback(self) -> None:
        # The transaction may have been ended by the engine, or its connection be gone: it is undone either way.
        with contextlib.suppress(Exception):
            self._run("rollback")

    def _explain(self, error: Exception) -> Exception:
        """Turn a driver's error into one of ours."""
        return WarehouseError(f"{self.location} refused a statement: {error}")

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        try:
            with self.connection.cursor(adbc_stmt_kwargs=dict(self.statement_options)) as cursor:
                yield cursor
        except (self.connection.Error, pl.exceptions.PolarsError) as error:
            self.broken = True
            raise self._explain(error) from error

    def _run(self, sql: str, rows: pl.DataFrame | None = None) -> int:
        with self._cursor() as cursor:
            if rows is None:
                cursor.execute(sql)
            else:
                cursor.executemany(sql, rows)
            return int(cursor.rowcount)

    def _fetch(self, sql: str) -> pl.DataFrame:
        with self._cursor() as cursor:
            cursor.execute(sql)
            fetched: Any = cursor.fetch_polars()
            return fetched if isinstance(fetched, pl.DataFrame) else pl.DataFrame(fetched)

    def _change(self, sql: str) -> int:
        return max(self._run(sql), 0)

    @contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        stage = self.identifier(STAGE)
        typed = ", ".join(f"{self.identifier(name)} {self.column_types[dtype.base_type()]}" for name, dtype in rows.schema.items())
        self._run(f"create temp table {stage} ({typed})")
        self._run(f"insert into {stage} values ({', '.join('?' * rows.width)})", rows)
        yield stage
        self._run(f"drop table {stage}")

    def _find_columns(self, name: str) -> Sequence[str] | None:
        table, schema = ([*reversed(name.split(".")), None])[:2]
        try:
            return list(self.connection.adbc_get_table_schema(table or "", db_schema_filter=schema).names)
        except self.connection.ProgrammingError as error:
            if error.status_code.name == "NOT_FOUND":
                return None
            raise self._explain(error) from error
