"""Statements of PostgreSQL: names in its SQL, transactions, queries."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.adbc import AdbcSession
from blocks.warehouses.postgres_errors import explain_failure, read_failure
from blocks.warehouses.postgres_values import convert_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adbc_driver_manager.dbapi import Connection, Cursor

    from blocks.warehouses.server import Place

PLAINLY: Final = {"adbc.postgresql.use_copy": "false"}
_NAME_BYTES: Final = 63  # the rest of a longer name is cut off without a word
_WITHOUT_COPY: Final = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*(show|explain)\b", re.IGNORECASE | re.DOTALL)


class PostgresStatements(AdbcSession):
    """What a session says to PostgreSQL, over a connection of ADBC in autocommit mode."""

    dialect: ClassVar[str] = "postgres"

    def __init__(self, connection: Connection, place: Place, *, writable: bool) -> None:
        super().__init__(connection, place.location, writable=writable)
        self.limits = place.limits
        self.schema = place.schema

    def begin(self) -> None:
        self._run("begin isolation level read committed" if self.writable else "begin isolation level repeatable read read only")
        values = {
            "TimeZone": "UTC",
            "standard_conforming_strings": "on",
            "extra_float_digits": "1",
            "statement_timeout": f"{round(self.limits.statement_seconds * 1000)}ms",
            "lock_timeout": f"{round(self.limits.lock_seconds * 1000)}ms",
            # What a frozen writer holds is given back.
            "idle_in_transaction_session_timeout": f"{round(self.limits.statement_seconds * 1000) if self.writable else 0}ms",
        }
        if self.schema is not None:
            self._check_schema(self.schema)
            values["search_path"] = self.identifier(self.schema)
        calls = [f"set_config('{name}', {self.literal(value)}, true) as {name.lower()}" for name, value in values.items()]
        self._fetch(f"select {', '.join(calls)}")

    def identifier(self, name: str) -> str:
        if any(len(part.encode()) > _NAME_BYTES for part in name.split(".")):
            raise WarehouseError(
                f"{name!r} cannot name a table or column: PostgreSQL cuts names at {_NAME_BYTES} bytes; choose a shorter one"
            )
        return super().identifier(name)

    def _check_schema(self, name: str) -> None:
        if self._fetch(f"select to_regnamespace({self.literal(self.identifier(name))}) is null as missing")["missing"][0]:
            advice = "create it, grant usage on it, or correct schema_name"
            raise WarehouseError(f"{self.location}: there is no schema {name!r} that this role may use; {advice}")

    def _explain(self, error: Exception, seconds: float = 0.0) -> Exception:
        return explain_failure(read_failure(error, seconds, is_lost=self._is_lost()), self.location, self.limits)

    def _is_lost(self) -> bool:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("select 1")
        except self.connection.Error as error:
            return getattr(error, "sqlstate", None) is None  # a server that is there says that the transaction is aborted
        return False

    @contextmanager
    def _cursor(self, **options: str) -> Iterator[Cursor]:
        begun = time.monotonic()
        try:
            with self.connection.cursor(adbc_stmt_kwargs=options) as cursor:
                yield cursor
        except (self.connection.Error, pl.exceptions.PolarsError) as error:
            self.broken = True
            raise self._explain(error, time.monotonic() - begun) from error

    def _fetch(self, sql: str) -> pl.DataFrame:
        options = PLAINLY if _WITHOUT_COPY.match(sql) else {}
        with self._cursor(**options) as cursor:
            cursor.execute(sql)
            try:
                fetched: Any = cursor.fetch_polars()
            except BaseException as error:
                if type(error).__name__ != "PanicException":  # what polars raises for an interval is no Exception
                    raise
                self.broken = True
                raise WarehouseError(
                    f"{self.location}: a column of the query cannot be read (an interval?); cast it in the query"
                ) from None
        return convert_columns(fetched, self.location)
