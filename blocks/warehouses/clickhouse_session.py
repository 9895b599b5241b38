"""A session over ClickHouse: its names and literals, its tables, its changes."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from anomflow.frames import OBSERVATIONS, TABLES, Table
from blocks.warehouses.clickhouse_pending import OFFERED, ROW, Pending
from blocks.warehouses.clickhouse_rewriting import Deletion, Update, read_statement, rewrite_tables
from blocks.warehouses.clickhouse_transaction import ClickHouseTransaction
from blocks.warehouses.clickhouse_values import COLUMN_TYPES, fits, keeps_times
from blocks.warehouses.rows import prepare_keys, prepare_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

_YEARS: Final = range(1900, 2299)  # of a DateTime64 that is written as text


class ClickHouseSession(ClickHouseTransaction):
    """A session over ClickHouse: rows are changed where they wait, and seen there by this session's own queries."""

    dialect: ClassVar[str] = "clickhouse"
    column_types: ClassVar[Mapping[type[pl.DataType], str]] = COLUMN_TYPES
    has_keys: ClassVar[bool] = False

    def confine(self) -> None:
        self.server = replace(self.server, is_confined=True)

    def identifier(self, name: str) -> str:
        super().identifier(name)
        if "`" in name or "\\" in name:
            raise WarehouseError(
                f"{name!r} cannot name a table or column: Anomflow writes no backticks and backslashes in ClickHouse's names"
            )
        return ".".join(f"`{part}`" for part in name.split("."))

    def _text_literal(self, value: str) -> str:
        return super()._text_literal(value).replace("\\", "\\\\")

    def _time_literal(self, moment: datetime) -> str:
        if moment.year in _YEARS:
            return f"toDateTime64('{moment:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"
        micros = pl.Series([moment]).to_physical()[0]
        return f"fromUnixTimestamp64Micro({micros}, 'UTC')"

    def ensure_table(self, table: Table, name: str) -> None:
        self._check_writable()
        self._lock(name)
        if self._find_columns(name) is not None:  # who may only write to it may not say "create table if not exists" either
            return
        columns = ", ".join(f"{self.identifier(column)} {self._declare(table, column)}" for column in table.columns)
        if table.suffix == OBSERVATIONS.suffix:  # in the order in which the jobs' queries narrow the rows down
            layout = "partition by toYear(metric_timestamp) order by (metric_batch, metric_type, metric_name, metric_timestamp)"
        else:
            layout = f"order by ({', '.join(self.identifier(column) for column in table.key)})"
        self.execute(f"create table if not exists {self.identifier(name)} ({columns}) engine = MergeTree {layout}")

    def execute(self, sql: str) -> int:
        self._columns.clear()
        self._check_writable()
        with self._breaking():
            statement = read_statement(sql, self.location)
            if statement is None:
                self._renew()
                self.server.run(sql)
                return 0
            return self._change_where(statement)

    def insert_missing(self, table: Table, name: str, rows: pl.DataFrame) -> int:
        staged = prepare_rows(table, rows, keep="first")
        columns = self._adopt(table, name, staged)
        if staged.is_empty():
            return 0
        pending, offered = self._offer(name, staged.select(columns))
        self._run(pending.insert_absent(offered, self._step + 1))
        self._step += 1
        (count,) = self._ask(f"select count() as n from {pending.place} where `anomflow step` = {self._step}")["n"]
        return int(count)

    def delete_keys(self, table: Table, name: str, keys: pl.DataFrame) -> int:
        self._check_writable()
        staged = prepare_keys(table, keys)
        self._match_columns(table, name)
        if staged.is_empty():
            return 0
        pending, offered = self._offer(name, staged)
        return self._delete(pending, pending.matches(offered))

    def _replace(self, table: Table, name: str, staged: pl.DataFrame) -> None:
        columns = self._adopt(table, name, staged)
        if not staged.is_empty():
            self._put(self._find_pending(name), staged.select(columns), ROW)

    def _offer(self, name: str, rows: pl.DataFrame) -> tuple[Pending, str]:
        """Bring rows to where statements can compare with them; return the query that gives them."""
        pending = self._find_pending(name)
        self._put(pending, rows, OFFERED)
        return pending, pending.select_offered(self._step)

    def _put(self, pending: Pending, rows: pl.DataFrame, state: int) -> None:
        self._check_times(pending, rows)
        self._step += 1
        self._renew()
        with self._breaking():
            self.server.insert(pending.place, pending.mark(rows, state, self._step))

    def _change_where(self, statement: Update | Deletion) -> int:
        name = statement.table
        table = self._known.get(name) or _guess_table(name)
        if table is None:
            raise WarehouseError(f"{self.location} refused a statement: {name!r} is no table of ours, and only such are changed")
        self._match_columns(table, name)
        condition = self._see(statement.condition)
        if isinstance(statement, Deletion):
            return self._delete(self._find_pending(name), condition)
        pending = self._find_pending(name)
        count = self._count(pending, condition)
        if count:
            self._step += 1
            changes = {column: self._see(value) for column, value in statement.changes.items()}
            self._run(pending.update(changes, condition, self._step))
        return count

    def _delete(self, pending: Pending, condition: str) -> int:
        count = self._count(pending, condition)
        if count:
            self._step += 1
            self._run(pending.delete(condition, self._step))
        return count

    def _count(self, pending: Pending, condition: str) -> int:
        (count,) = self._ask(f"select count() as n from ({pending.current}) where {condition}")["n"]
        return int(count)

    def _see(self, sql: str) -> str:
        """Let SQL find this session's own changes."""
        return rewrite_tables(sql, {name: pending.current for name, pending in self._pendings.items()}, self.server.database)

    def _fetch(self, sql: str) -> pl.DataFrame:
        return self._ask(self._see(sql))

    def _change(self, sql: str) -> int:
        raise NotImplementedError  # rows are changed where they wait

    @contextlib.contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        raise NotImplementedError  # as above

    def _declare(self, table: Table, column: str) -> str:
        kind = self.column_types[table.columns[column].base_type()]
        if column not in table.key:
            return f"Nullable({kind})"
        return f"LowCardinality({kind})" if table.suffix == OBSERVATIONS.suffix and kind == "String" else kind

    def _add_columns(self, table: Table, name: str, columns: Sequence[str]) -> None:
        if not columns:
            return
        pending = self._pendings.get(self._qualify(name))
        added = [f"add column if not exists {self.identifier(column)} {self._declare(table, column)}" for column in columns]
        for place in [self.identifier(name), *([pending.place] if pending else [])]:
            self.execute(f"alter table {place} {', '.join(added)}")
        self._match_columns(table, name)  # which finds the new ones
        if pending:
            self._pendings[self._qualify(name)] = self._build_pending(name, pending.place)

    def _find_columns(self, name: str) -> Sequence[str] | None:
        database, _, table = self._qualify(name).partition(".")
        where = f"database = {self.literal(database)} and table = {self.literal(table)} and default_kind not in ('ALIAS', 'MATERIALIZED')"
        found = self._ask(f"select name, type from system.columns where {where} order by position")
        self._types[name] = dict(found.iter_rows())
        return list(self._types[name]) or None

    def _match_columns(self, table: Table, name: str) -> list[str]:
        if self.writable:
            self._lock(name)
        self._known[name] = table
        present = super()._match_columns(table, name)
        if self.writable:
            self._check_types(table, name, present)
        return present

    def _check_types(self, table: Table, name: str, columns: Sequence[str]) -> None:
        found = {column: self._types[name].get(column, "in another case") for column in columns}
        wrong = [column for column, kind in found.items() if not fits(kind, table.columns[column], needs_null=column not in table.key)]
        if wrong:
            column = wrong[0]
            change = f"alter table {self.identifier(name)} modify column {self.identifier(column)} {self._declare(table, column)}"
            raise self._build_misfit(name, column, found[column], f". Change it: {change}")

    def _check_times(self, pending: Pending, rows: pl.DataFrame) -> None:
        name = pending.table.replace("`", "")
        types = next((types for known, types in self._types.items() if self._qualify(known) == name), {})
        for column in rows.select(pl.col(pl.Datetime)).columns:
            if not keeps_times(types.get(column, ""), rows[column]):
                raise WarehouseError(
                    f"{self.location}: column {column} of table {name!r} is {types[column]}, which holds whole seconds from 1970 to 2106, "
                    "and a row has another time. Copy its rows into a table that Anomflow made, and name that one as table_key"
                )

    def _order(self, table: Table, name: str) -> str:  # noqa: ARG002 - what other engines look at
        # Rows have no order of time, so the greatest of duplicates is the newest.
        return f" order by {self.tie_break}" if table is OBSERVATIONS else ""


def _guess_table(name: str) -> Table | None:
    return next((table for table in reversed(TABLES) if name.endswith(table.suffix)), None)
