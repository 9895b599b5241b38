"""A session over Redshift: its types, its upsert, one writer of a table family at a time."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from anomflow.frames import OBSERVATIONS, Table, find_table_key
from blocks.warehouses.postgres_errors import Failure
from blocks.warehouses.postgres_values import fits
from blocks.warehouses.redshift_errors import MISSING_TABLE, explain, find_state
from blocks.warehouses.redshift_statements import RedshiftStatements
from blocks.warehouses.redshift_values import COLUMN_TYPES, render_rows
from blocks.warehouses.rows import split_rows
from blocks.warehouses.sqlstates import LOCK_TIMEOUT, STATEMENT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from blocks.warehouses.server import Place

_STAGE: Final = "anomflow_stage"
_MADE_BY_ANOTHER: Final = ("42P07", "23505")
# Rows that are joined lie together, and a job's query skips the blocks of other batches, types and times.
_LAYOUT: Final = "distkey(metric_name) compound sortkey(metric_batch, metric_type, metric_timestamp)"
_LAYOUT_OF_OTHERS: Final = "sortkey(metric_batch)"
_NAME: Final = r'(?:"(?:[^"]|"")+"|\w+)'
_TARGET: Final = re.compile(rf"\s*(?:update|delete\s+from|insert\s+into)\s+({_NAME}(?:\.{_NAME})*)", re.IGNORECASE)
_DROPPED: Final = re.compile(rf"\s*drop\s+table\s+({_NAME}(?:\.{_NAME})*)\s*", re.IGNORECASE)


class RedshiftSession(RedshiftStatements):
    """A session over Redshift.

    Writers of the tables of one table key come one after another: each locks an empty table of its own (``metrics_lock``) before
    it reads or writes, since a lock on the tables themselves would hold up readers too. Redshift takes a key down and does not
    keep it, and trusts it in its plans, so tables have none.
    """

    column_types: ClassVar[Mapping[type[pl.DataType], str]] = COLUMN_TYPES
    has_keys: ClassVar[bool] = False

    def __init__(self, connection: Any, place: Place, *, writable: bool) -> None:
        super().__init__(connection, place, writable=writable)
        self._types: dict[str, dict[str, str]] = {}
        self._locked: set[str] = set()

    def ensure_table(self, table: Table, name: str) -> None:
        self._lock(table, name)
        if self._find_columns(name) is not None:
            return
        columns = ", ".join(f"{self.identifier(column)} {self._declare(table, column)}" for column in table.columns)
        layout = _LAYOUT if table is OBSERVATIONS else _LAYOUT_OF_OTHERS
        self.execute(f"create table {self.identifier(name)} ({columns}) {layout}")

    def execute(self, sql: str) -> int:
        if found := _TARGET.match(sql):
            self._lock_family(find_table_key(_read_name(found[1])))
        changed = super().execute(sql)
        if dropped := _DROPPED.fullmatch(sql):
            self._drop_lock(_read_name(dropped[1]))
        return changed

    def _order(self, table: Table, name: str) -> str:  # noqa: ARG002 - the same for every name
        # Rows have no order here, so of duplicates the greatest is the newest.
        return f" order by {self.tie_break}" if table is OBSERVATIONS else ""

    @contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        stage = self.identifier(_STAGE)
        typed = ", ".join(f"{self.identifier(name)} {self.column_types[dtype.base_type()]}" for name, dtype in rows.schema.items())
        self._run(f"create temp table {stage} ({typed})")
        for part in split_rows(rows):
            self._run(f"insert into {stage} values {render_rows(part)}")
        yield stage
        self._run(f"drop table {stage}")

    def _delete_staged(self, table: Table, name: str, stage: str) -> str:
        # Neither table takes an alias here.
        target = self.identifier(name.rsplit(".", maxsplit=1)[-1])
        same = " and ".join(f"{target}.{self.identifier(column)} = {stage}.{self.identifier(column)}" for column in table.key)
        return f"delete from {self.identifier(name)} using {stage} where {same}"

    def _insert_absent(self, table: Table, name: str, columns: Sequence[str], stage: str) -> int:
        joined = f"left join {self.identifier(name)} as t on {self._match_keys(table)}"
        first = self.identifier(table.key[0])
        return self._change_rows(f"{self._insert(name, columns)} from {stage} as s {joined} where t.{first} is null")

    def _find_columns(self, name: str) -> Sequence[str] | None:
        table, schema = ([*reversed(name.split(".")), None])[:2]
        where = f"n.nspname = {self.literal(schema)}" if schema else "pg_catalog.pg_table_is_visible(c.oid)"
        found = self._fetch(
            "select a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type from pg_catalog.pg_attribute as a "
            "join pg_catalog.pg_class as c on c.oid = a.attrelid join pg_catalog.pg_namespace as n on n.oid = c.relnamespace "
            f"where {where} and c.relname = {self.literal(table)} and a.attnum > 0 and not a.attisdropped order by a.attnum"
        )
        self._types[name] = dict(found.select("name", "type").iter_rows())
        return list(self._types[name]) or None

    def _match_columns(self, table: Table, name: str) -> list[str]:
        self._lock(table, name)
        present = super()._match_columns(table, name)
        if self.writable:
            self._check_types(table, name, present)
        return present

    def _check_types(self, table: Table, name: str, columns: Sequence[str]) -> None:
        wrong = [column for column in columns if not fits(self._types[name].get(column, "in another case"), table.columns[column])]
        if wrong:
            kind = self.column_types[table.columns[wrong[0]].base_type()]
            advice = f"; make it {kind} (a new column, filled by an update, in place of the old one)"
            raise self._build_misfit(name, wrong[0], self._types[name].get(wrong[0]), advice)

    def _lock(self, table: Table, name: str) -> None:
        """Wait until no other session writes the tables of this table key."""
        self._lock_family(table.find_key(name))

    def _lock_family(self, family: str) -> None:
        if family in self._locked or not self.writable:
            return
        lock = f"{family}_lock"
        if not self._is_fresh and self._find_columns(lock) is None:
            self._run(self._build_lock(lock))
        self._hold(lock)
        self._locked.add(family)

    def _hold(self, lock: str) -> None:
        """Lock a table, which is made where there is none: first of all, for a transaction sees what was committed when it first reads."""
        try:
            self._wait_for(lock)
        except WarehouseError as error:
            if find_state(error) != MISSING_TABLE or not self._is_fresh:
                raise
            self._run("rollback")
            self._make_lock(lock)
            self._begin()
            self.broken = False
            self._wait_for(lock)

    def _wait_for(self, lock: str) -> None:
        self._limit_statements(self.limits.lock_seconds)
        try:
            self._run(f"lock table {self.identifier(lock)}")
        except WarehouseError as error:
            if find_state(error) == STATEMENT_TIMEOUT:
                waited = Failure(str(error), LOCK_TIMEOUT, self.limits.lock_seconds, is_lost=False)
                raise explain(waited, self.location, self.limits) from error
            raise
        self._limit_statements(self.limits.statement_seconds)

    def _make_lock(self, lock: str) -> None:
        """Make the table of a lock, outside of a transaction."""
        try:
            self._run(self._build_lock(lock))
        except WarehouseError as error:
            if find_state(error) not in _MADE_BY_ANOTHER:
                raise

    def _build_lock(self, lock: str) -> str:
        return f"create table if not exists {self.identifier(lock)} (holder bigint)"

    def _drop_lock(self, family: str) -> None:
        self._run(f"drop table if exists {self.identifier(f'{family}_lock')}")
        self._locked.discard(family)


def _read_name(quoted: str) -> str:
    return re.sub(r'"((?:[^"]|"")+)"', lambda found: found[1].replace('""', '"'), quoted)
