"""A session over Snowflake: its types, its upsert, one writer of a table family at a time."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.quoting import Quoting
from blocks.warehouses.rows import split_rows
from blocks.warehouses.snowflake_errors import MISSING, find_code
from blocks.warehouses.snowflake_statements import Place, SnowflakeStatements
from blocks.warehouses.snowflake_values import COLUMN_TYPES, build_source, fits, render_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from anomflow.frames import Table


# A statement of the ledger, as our own code writes it.
_LEDGER: Final = re.compile(r'update (?P<place>(?:"[A-Z0-9_$]+"\.)*)(?P<family>"[A-Z0-9_$]+)_(?:ALERTS|DELIVERIES)"')


class SnowflakeSession(SnowflakeStatements):
    """A session over Snowflake.

    Rows go in as a parameter of the statement that uses them: a temporary table is DDL, and with DDL Snowflake commits. Writers of
    the tables of one table key come one after another: each changes the one row of a table of its own (``metrics_lock``) first and
    so holds it until it commits. Every statement sees what is committed when it begins.
    """

    column_types: ClassVar[Mapping[type[pl.DataType], str]] = COLUMN_TYPES
    has_keys: ClassVar[bool] = False  # Snowflake takes a key down and does not keep it

    def __init__(self, connection: Any, place: Place, *, writable: bool) -> None:
        super().__init__(connection, place, writable=writable)
        self._types: dict[str, dict[str, str]] = {}
        self._staged = 0
        self._locks: list[str] = []

    def execute(self, sql: str) -> int:
        found = _LEDGER.match(sql)
        if found and self._is_fresh:  # later, to make a missing lock would commit
            self._lock_family(f"{found['place'] or ''}{found['family']}".replace('"', "").lower())
        return super().execute(sql)

    def ensure_table(self, table: Table, name: str) -> None:
        self._check_writable()
        self._lock(table, name)
        if self._find_columns(name) is None:
            super().ensure_table(table, name)

    @contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        self._parameters, self._staged = (render_rows(rows),), rows.height
        try:
            yield build_source([self.identifier(name) for name in rows.columns], rows.dtypes)
        finally:
            self._parameters = ()

    def _split(self, table: Table, rows: pl.DataFrame) -> Iterable[pl.DataFrame]:  # noqa: ARG002 - each table alike
        return split_rows(rows)

    def _find_columns(self, name: str) -> Sequence[str] | None:
        found, exact = self._describe(self.identifier(name)), Quoting.identifier(self, name)
        if found is None and self.identifier(name) != exact and self._describe(exact):
            raise WarehouseError(
                f"{self.location}: the table {exact} was made with its name in quotes and small letters, which Snowflake takes for "
                f"another one than {name}. Change it: alter table {exact} rename to {name}"
            )
        self._types[name] = found or {}
        return list(found) if found else None

    def _match_columns(self, table: Table, name: str) -> list[str]:
        if self.writable:
            self._lock(table, name)
        present = super()._match_columns(table, name)
        self._check_case(name, present)
        if self.writable:
            self._check_types(table, name, present)
        return present

    def _check_case(self, name: str, columns: Sequence[str]) -> None:
        quoted = [column for column in self._types[name] if column.casefold() in columns and column != column.upper()]
        if quoted:
            changes = "; ".join(f'alter table {self.identifier(name)} rename column "{column}" to {column}' for column in quoted)
            raise WarehouseError(
                f"{self.location}: columns of table {name!r} were made with their names in quotes and small letters, so that plain SQL "
                f"does not find them. Change it: {changes}"
            )

    def _check_types(self, table: Table, name: str, columns: Sequence[str]) -> None:
        wrong = [column for column in columns if not fits(self._types[name][column.upper()], table.columns[column])]
        if wrong:
            kind = self.column_types[table.columns[wrong[0]].base_type()]
            advice = f"; make it {kind} (a new column, filled by an update, in place of the old one)"
            raise self._build_misfit(name, wrong[0], self._types[name][wrong[0].upper()], advice)

    def _resume(self) -> None:
        for lock in self._locks:
            self._run(self._build_lock(lock))

    def _lock(self, table: Table, name: str) -> None:
        """Wait until no other session writes the tables of this table key."""
        self._lock_family(table.find_key(name))

    def _lock_family(self, family: str) -> None:
        lock = f"{family}_lock"
        if not self.writable or lock in self._locks:
            return
        if not self._insist(lambda: self._hold(lock)):
            raise WarehouseError(f"{self.location}: the table {lock} has no row to be locked; drop it, and it is made anew")
        self._locks.append(lock)

    def _hold(self, lock: str) -> int:
        """Change the row of a lock's table, which is made where there is none; return how many rows there are."""
        from snowflake.connector import errors  # noqa: PLC0415 - the driver is loaded, for there is a connection

        with self._cursor() as cursor:
            try:
                cursor.execute(self._build_lock(lock))
                return int(cursor.rowcount)
            except errors.ProgrammingError as error:
                if find_code(error) not in MISSING:
                    raise
        self._define(f"create table if not exists {self.identifier(lock)} as select 0 as {self.identifier('holder')}")
        return self._run(self._build_lock(lock))

    def _build_lock(self, lock: str) -> str:
        holder = self.identifier("holder")
        return f"update {self.identifier(lock)} set {holder} = 1 - {holder}"

    def _replace_staged(self, table: Table, name: str, columns: Sequence[str], stage: str) -> None:
        quoted = [self.identifier(column) for column in columns]
        others = ", ".join(f"{self.identifier(column)} = s.{self.identifier(column)}" for column in columns if column not in table.key)
        changed = self._change_rows(
            f"merge into {self.identifier(name)} as t using {stage} as s on {self._match_keys(table)} "
            f"when matched then update set {others} "
            f"when not matched then insert ({', '.join(quoted)}) values ({', '.join(f's.{column}' for column in quoted)})"
        )
        if changed != self._staged:  # a key was there more than once
            super()._replace_staged(table, name, columns, stage)

    def _delete_staged(self, table: Table, name: str, stage: str) -> str:
        return f"delete from {self.identifier(name)} as t using {stage} as s where {self._match_keys(table)}"
