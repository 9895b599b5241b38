"""A session over PostgreSQL: its types, its upsert, one writer of a table family at a time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl

from anomflow.frames import OBSERVATIONS, Table
from blocks.warehouses.adbc import STAGE
from blocks.warehouses.postgres_catalog import build_columns_query, build_key_query, build_lock_query, build_ranges_query, find_ranges
from blocks.warehouses.postgres_statements import PLAINLY, PostgresStatements
from blocks.warehouses.postgres_values import COLUMN_TYPES, fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adbc_driver_manager.dbapi import Connection

    from blocks.warehouses.server import Place

# The order in which the job's queries narrow the rows down: batch and type, then time.
_KEY_ORDER: Final = ("metric_batch", "metric_type", "metric_timestamp", "metric_name")
_RANGES: Final = 20  # of batches and types in one write, to be looked for one by one


class PostgresSession(PostgresStatements):
    """A session over a PostgreSQL connection.

    Writers of the tables of one table key come one after another (an advisory lock of the transaction), so that what a session
    reads before it writes is true until it commits, as it is in a database of one file. Readers wait for nobody and see one
    state of the database.
    """

    column_types: ClassVar[Mapping[type[pl.DataType], str]] = COLUMN_TYPES

    def __init__(self, connection: Connection, place: Place, *, writable: bool) -> None:
        super().__init__(connection, place, writable=writable)
        self._types: dict[str, dict[str, str]] = {}
        self._keyed: dict[str, bool] = {}
        self._locked: set[str] = set()

    def ensure_table(self, table: Table, name: str) -> None:
        self._lock(table, name)
        if self._find_columns(name) is not None:  # who may only write to it may not say "create table if not exists" either
            return
        columns = ", ".join(f"{self.identifier(column)} {self._declare(table, column)}" for column in table.columns)
        key = ", ".join(self.identifier(column) for column in (_KEY_ORDER if table is OBSERVATIONS else table.key))
        self.execute(f"create table {self.identifier(name)} ({columns}, primary key ({key}))")
        if table is not OBSERVATIONS:
            self.execute(f"create index on {self.identifier(name)} ({self.identifier('metric_batch')})")

    def execute(self, sql: str) -> int:
        self._keyed.clear()
        return super().execute(sql)

    @contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        stage = self.identifier(STAGE)
        typed = ", ".join(f"{self.identifier(name)} {self.column_types[dtype.base_type()]}" for name, dtype in rows.schema.items())
        self._run(f"create temp table {stage} ({typed}) on commit drop")
        with self._cursor() as cursor:
            cursor.adbc_ingest(STAGE, rows, mode="append", temporary=True)
        yield f"pg_temp.{stage}"
        self._run(f"drop table pg_temp.{stage}")

    def _find_columns(self, name: str) -> Sequence[str] | None:
        found = self._fetch(build_columns_query(self.literal(self.identifier(name))))
        self._types[name] = dict(found.select("name", "type").iter_rows())
        return list(self._types[name]) or None

    def _match_columns(self, table: Table, name: str) -> list[str]:
        if self.writable:
            self._lock(table, name)
        present = super()._match_columns(table, name)
        if self.writable:
            self._check_types(table, name, present)
        return present

    def _check_types(self, table: Table, name: str, columns: Sequence[str]) -> None:
        found = {column: self._types[name].get(column, "in another case") for column in columns}
        wrong = [column for column, kind in found.items() if not fits(kind, table.columns[column])]
        if wrong:
            quoted, kind = self.identifier(wrong[0]), self.column_types[table.columns[wrong[0]].base_type()]
            change = f"alter table {self.identifier(name)} alter column {quoted} type {kind} using {quoted}::{kind}"
            raise self._build_misfit(name, wrong[0], found[wrong[0]], f". Change it: {change}")

    def _lock(self, table: Table, name: str) -> None:
        """Wait until no other session writes the tables of this table key."""
        family = table.find_key(name)
        if family in self._locked or not self.writable:
            return
        with self._cursor(**PLAINLY) as cursor:  # by COPY, a wait that is too long would have no SQLSTATE
            cursor.execute(build_lock_query(self.literal(family), has_schema="." in family))
            cursor.fetch_polars()
        self._locked.add(family)

    def _has_key(self, table: Table, name: str) -> bool:
        """Tell whether a unique index on just the key's columns keeps each key single."""
        if name not in self._keyed:
            query = build_key_query(self.literal(self.identifier(name)), [self.literal(column) for column in table.key])
            self._keyed[name] = self._fetch(query).height > 0
        return self._keyed[name]

    def _order(self, table: Table, name: str) -> str:
        # Duplicates come in no order of time: the place of a row (ctid) is used again after a delete. So the greatest is the newest.
        return "" if table is not OBSERVATIONS or self._has_key(table, name) else f" order by {self.tie_break}"

    def _replace(self, table: Table, name: str, staged: pl.DataFrame) -> None:
        columns = self._adopt(table, name, staged)
        if not self._may_load(table, name, staged):
            super()._replace(table, name, staged)
            return
        place, schema = ([*reversed(name.split(".")), None])[:2]
        with self._cursor() as cursor:
            cursor.adbc_ingest(place or "", staged.select(columns), mode="append", db_schema_name=schema)

    def _may_load(self, table: Table, name: str, staged: pl.DataFrame) -> bool:
        """Tell whether rows can go straight into the table: it is like ours, and where they belong lies nothing yet."""
        is_like_ours = self._has_key(table, name) and all(
            self._types[name].get(column) == self.column_types[dtype.base_type()] for column, dtype in table.columns.items()
        )
        if table is not OBSERVATIONS or staged.is_empty() or not is_like_ours or name.count(".") > 1:
            return False
        ranges = find_ranges(staged)
        return len(ranges) <= _RANGES and self._fetch(build_ranges_query(self.identifier(name), ranges, self.literal)).is_empty()

    def _replace_staged(self, table: Table, name: str, columns: Sequence[str], stage: str) -> None:
        if not self._has_key(table, name):
            super()._replace_staged(table, name, columns, stage)
            return
        others = [self.identifier(column) for column in columns if column not in table.key]
        values = ", ".join(f"{column} = excluded.{column}" for column in others)
        self._change_rows(f"{self._insert(name, columns)} from {stage} as s on conflict ({self._list_key(table)}) do update set {values}")

    def _insert_absent(self, table: Table, name: str, columns: Sequence[str], stage: str) -> int:
        if not self._has_key(table, name):
            return super()._insert_absent(table, name, columns, stage)
        return self._change_rows(f"{self._insert(name, columns)} from {stage} as s on conflict ({self._list_key(table)}) do nothing")

    def _list_key(self, table: Table) -> str:
        return ", ".join(self.identifier(column) for column in table.key)
