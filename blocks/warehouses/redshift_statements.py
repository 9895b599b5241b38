"""Statements of Redshift: names and values in its SQL, transactions, queries."""

from __future__ import annotations

import contextlib
import math
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.redshift_errors import explain, read_failure
from blocks.warehouses.redshift_values import escape_text, read_rows
from blocks.warehouses.relational import RelationalSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from blocks.warehouses.server import Place

_NAME_BYTES: Final = 127


class RedshiftStatements(RelationalSession):
    """What a session says to Redshift, over a connection of redshift-connector in autocommit mode."""

    dialect: ClassVar[str] = "redshift"

    def __init__(self, connection: Any, place: Place, *, writable: bool) -> None:
        super().__init__(place.location, writable=writable)
        self.connection = connection
        self.limits = place.limits
        self.schema = place.schema
        self._is_fresh = True

    def begin(self) -> None:
        self._run("set timezone to 'UTC'")
        self._run("set extra_float_digits to 2")
        self._limit_statements(self.limits.statement_seconds)
        if self.schema is not None:
            self._check_schema(self.schema)
            self._run(f"set search_path to {self.identifier(self.schema)}")
        self._begin()

    def _begin(self) -> None:
        self._run("begin" if self.writable else "begin read only")
        self._is_fresh = True

    def commit(self) -> None:
        self._run("commit")

    def rollback(self) -> None:
        # The connection may be gone: what it did is undone either way.
        with contextlib.suppress(Exception):
            self._run("rollback")

    def identifier(self, name: str) -> str:
        if any(len(part.encode()) > _NAME_BYTES for part in name.split(".")):
            raise WarehouseError(f"{name!r} cannot name a table or column: it has more than {_NAME_BYTES} bytes; choose a shorter one")
        return super().identifier(name)

    def literal(self, value: object) -> str:
        # By way of text: a plain number of many digits would be a decimal first, which holds 38.
        if isinstance(value, float) and math.isfinite(value):
            return f"cast('{value!r}' as double precision)"
        return super().literal(value)

    @property
    def tie_break(self) -> str:
        return f"coalesce({self.identifier('metric_value')}, cast('-1.7976931348623157e308' as double precision))"

    def _text_literal(self, value: str) -> str:
        super()._text_literal(value)  # what it refuses
        return f"'{escape_text(value)}'"

    def _time_literal(self, moment: datetime) -> str:
        return f"cast('{moment:%Y-%m-%d %H:%M:%S.%f}+00:00' as timestamptz)"

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        import redshift_connector as driver  # noqa: PLC0415 - the driver is loaded, for there is a connection

        begun = time.monotonic()
        try:
            with closing(self.connection.cursor()) as cursor:
                yield cursor
        except (driver.Error, OSError, pl.exceptions.PolarsError) as error:
            self.broken = True
            raise explain(read_failure(error, time.monotonic() - begun), self.location, self.limits) from error
        finally:
            # The driver keeps the text of every statement for as long as the connection lives.
            self.connection._caches.clear()  # noqa: SLF001 - there is no other way

    def _run(self, sql: str) -> int:
        with self._cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.rowcount)

    def _change(self, sql: str) -> int:
        self._is_fresh = False
        return max(self._run(sql), 0)

    def _fetch(self, sql: str) -> pl.DataFrame:
        self._is_fresh = False
        with self._cursor() as cursor:
            cursor.execute(sql)
            columns = cursor.description
            return read_rows(columns, cursor.fetchall(), self.location) if columns else pl.DataFrame()

    def _check_schema(self, name: str) -> None:
        if self._fetch(f"select 1 as found from pg_catalog.pg_namespace where nspname = {self.literal(name)}").is_empty():
            advice = "create it, grant usage on it, or correct schema_name"
            raise WarehouseError(f"{self.location}: there is no schema {name!r}; {advice}")

    def _limit_statements(self, seconds: float) -> None:
        self._run(f"set statement_timeout to {max(round(seconds * 1000), 1)}")
