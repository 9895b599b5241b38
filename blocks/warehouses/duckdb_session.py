"""A session over DuckDB's own Python interface: what a DuckDB file and MotherDuck share."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.files import describe_refusal
from blocks.warehouses.relational import RelationalSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from anomflow.frames import Table

_STAGE: Final = "anomflow_stage"


class DuckDBSession(RelationalSession):
    """A session over a DuckDB connection.

    Tables have no primary key: DuckDB refuses to insert a key that the same transaction deleted. The lock on the file
    and delete-then-insert keep a key single.
    """

    dialect: ClassVar[str] = "duckdb"
    column_types: ClassVar[Mapping[type[pl.DataType], str]] = {
        pl.Datetime: "timestamptz",
        pl.String: "varchar",
        pl.Int64: "bigint",
        pl.Float64: "double",
        pl.Boolean: "boolean",
    }
    row_id: ClassVar[str] = "rowid"
    has_keys: ClassVar[bool] = False
    # DuckDB keeps the pages that a query went through as long as it may use memory. A reader keeps few of them, and a query
    # that needs more, for itself, is run again without a limit.
    frugal: ClassVar[Mapping[str, str]] = {"memory_limit": "64MB", "temp_directory": ""}

    def __init__(self, connection: DuckDBPyConnection, location: str, *, writable: bool) -> None:
        super().__init__(location, writable=writable)
        self.connection = connection
        self._generous: dict[str, str] = {}

    def begin(self) -> None:
        self._run("set TimeZone = 'UTC'")
        self._run("set preserve_insertion_order = true")  # what _order relies on
        if not self.writable:
            self._generous = {name: str(self._run(f"select current_setting('{name}')").fetchall()[0][0]) for name in self.frugal}
            self._set(self.frugal)
        self._begin()

    def _begin(self) -> None:
        # Read only by statement too, since the connection may share an instance that writes.
        self._run("begin transaction" if self.writable else "begin transaction read only")

    def commit(self) -> None:
        self._run("commit")

    def confine(self) -> None:
        # Without files, network, extensions, and frames of this program, for as long as the instance lives.
        for setting in ("python_enable_replacements = false", "enable_external_access = false", "lock_configuration = true"):
            self._run(f"set {setting}")

    def rollback(self) -> None:
        # DuckDB ends a transaction by itself on some errors.
        with contextlib.suppress(WarehouseError):
            self._run("rollback")

    def _set(self, values: Mapping[str, str]) -> None:
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        for name, value in values.items():
            # An instance that is shared may use more already, and then keeps what it has.
            with contextlib.suppress(duckdb.Error):
                # A value, since RESET was seen to leave the smaller limit in force (1.5.6).
                self.connection.execute(f"set {name} = {self.literal(value)}")

    def _run(self, sql: str) -> DuckDBPyConnection:
        with self._explaining():
            return self.connection.execute(sql)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        try:
            yield
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            self.broken = True
            raise WarehouseError(describe_refusal(self.location, str(error))) from error

    def _fetch(self, sql: str) -> pl.DataFrame:
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        with self._explaining():
            try:
                return self._collect(sql)
            except duckdb.OutOfMemoryException:
                if not self._generous:
                    raise
            # The error ended the transaction. A new one sees the same rows: who reads keeps writers out of the file.
            self.connection.rollback()
            self._set(self._generous)
            self._begin()
            return self._collect(sql)

    def _collect(self, sql: str) -> pl.DataFrame:
        relation = self.connection.sql(sql)
        if relation is None:  # a statement without rows
            return pl.DataFrame()
        # polars panics on the one and the driver renames the other without a word.
        if intervals := [name for name, kind in zip(relation.columns, relation.types, strict=True) if "INTERVAL" in str(kind)]:
            raise WarehouseError(
                f"{self.location}: column {', '.join(intervals)} is an interval, which cannot be read; cast it in the query"
            )
        if len(set(relation.columns)) < len(relation.columns):
            raise WarehouseError(f"{self.location}: a column name has more than one occurrence in the query; give each its own")
        return pl.DataFrame(relation)  # by its Arrow stream: pl() would import pyarrow, 40 MB

    def _change(self, sql: str) -> int:
        result = self._run(sql)
        description: Sequence[Any] = result.description or ()
        counted = [name for name, *_ in description] == ["Count"]
        row = result.fetchone() if counted else None
        return int(row[0]) if row else 0

    @contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        stream = f"{_STAGE}_stream"
        with self._explaining():
            # A stream is read once. A frame itself could be read often, but imports pyarrow and pandas, 130 MB.
            self.connection.register(stream, rows.__arrow_c_stream__(None))
            self.connection.execute(f"create or replace temp table {_STAGE} as select * from {stream}")
            self.connection.unregister(stream)
        try:
            yield self.identifier(_STAGE)
        finally:
            with contextlib.suppress(Exception):  # an aborted transaction refuses it, and ends with the connection
                self.connection.execute(f"drop table {_STAGE}")

    def _order(self, table: Table, name: str) -> str:  # noqa: ARG002 - the same for every table
        # A scan gives rows in their order already, as they stream by. To sort a million would take more than a reader's memory.
        return ""

    def _time_literal(self, moment: datetime) -> str:
        # Without a zone, which our sessions read as UTC: a zoned one does not compare with the TIMESTAMP_NS that pandas makes.
        return f"timestamp '{moment:%Y-%m-%d %H:%M:%S.%f}'"

    def _find_columns(self, name: str) -> Sequence[str] | None:
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        with self._explaining():
            try:
                result = self.connection.execute(f"select * from {self.identifier(name)} limit 0")
            except duckdb.CatalogException:
                return None
        return [str(column) for column, *_ in result.description or ()]
