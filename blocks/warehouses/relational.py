"""What all relational engines share: the SQL of a session, on a few primitives that an engine gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, ClassVar, Self

import polars as pl

from anomflow.conform import conform_times
from anomflow.errors import MissingTableError, WarehouseError
from blocks.warehouses.quoting import Quoting
from blocks.warehouses.rows import prepare_keys, prepare_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from anomflow.frames import Table


class RelationalSession(Quoting, ABC):
    """One open connection in one transaction; see ``anomflow.protocols.Session``.

    An engine gives ``_fetch``, ``_change``, ``_stage`` and ``_find_columns``, its dialect and its types; one whose statements
    take only so many rows gives ``_split`` too.
    A number that is not finite is written as null, everywhere. A column of ours that a table made by others
    lacks reads as null, and is added by the first write that has a value for it.
    """

    dialect: ClassVar[str] = ""
    column_types: ClassVar[Mapping[type[pl.DataType], str]]
    row_id: ClassVar[str] = ""
    has_keys: ClassVar[bool] = True

    def __init__(self, location: str, *, writable: bool) -> None:
        self.location = location
        self.writable = writable
        self.broken = False
        self._columns: dict[str, tuple[str, ...]] = {}

    @abstractmethod
    def _fetch(self, sql: str) -> pl.DataFrame:
        """Run one query."""

    @abstractmethod
    def _change(self, sql: str) -> int:
        """Run one statement and return how many rows it changed."""

    @abstractmethod
    def _stage(self, rows: pl.DataFrame) -> AbstractContextManager[str]:
        """Offer rows as a relation of this connection, by its quoted name, while the context is open."""

    @abstractmethod
    def _find_columns(self, name: str) -> Sequence[str] | None:
        """List the columns of a table, None where there is none."""

    @abstractmethod
    def begin(self) -> None:
        """Begin the transaction."""

    @abstractmethod
    def commit(self) -> None:
        """Make all statements visible."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo all statements; never raise."""

    def confine(self) -> None:
        """Give up what an engine lets a reader do beyond its database."""

    @property
    def tie_break(self) -> str:
        # Nothing is the oldest: engines do not agree where it sorts.
        return self.row_id or f"coalesce({self.identifier('metric_value')}, -1.7976931348623157e308)"

    @property
    def ledger(self) -> Self:
        return self

    def read(self, sql: str) -> pl.DataFrame:
        frame = self._fetch(sql)
        zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None]
        naive = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone is None]
        return frame.with_columns(pl.col(zoned).dt.convert_time_zone("UTC").dt.cast_time_unit("us"), pl.col(naive).dt.cast_time_unit("us"))

    def read_table(self, table: Table, name: str, where: str = "true") -> pl.DataFrame:
        present = self._match_columns(table, name)
        listed = ", ".join(f"{self.identifier(column)} as {self.identifier(column)}" for column in present)
        frame = conform_times(self._fetch(f"select {listed} from {self.identifier(name)} where ({where}){self._order(table, name)}"))
        return frame.select(
            (pl.col(column) if column in present else pl.lit(None)).cast(dtype).alias(column) for column, dtype in table.columns.items()
        )

    def execute(self, sql: str) -> int:
        self._columns.clear()
        return self._change_rows(sql)

    def ensure_table(self, table: Table, name: str) -> None:
        columns = [f"{self.identifier(column)} {self._declare(table, column)}" for column in table.columns]
        if self.has_keys:
            columns.append(f"primary key ({', '.join(self.identifier(column) for column in table.key)})")
        self.execute(f"create table if not exists {self.identifier(name)} ({', '.join(columns)})")

    def find_missing(self, table: Table, name: str) -> Sequence[str]:
        present = self._match_columns(table, name)
        return [column for column in table.columns if column not in present]

    def ensure_columns(self, table: Table, name: str) -> None:
        self._add_columns(table, name, self.find_missing(table, name))

    def upsert(self, table: Table, name: str, rows: pl.DataFrame) -> None:
        self._replace(table, name, prepare_rows(table, rows, keep="last"))

    def insert_missing(self, table: Table, name: str, rows: pl.DataFrame) -> int:
        staged = prepare_rows(table, rows, keep="first")
        columns = self._adopt(table, name, staged)
        return self._change_parts(table, staged.select(columns), lambda stage: self._insert_absent(table, name, columns, stage))

    def delete_keys(self, table: Table, name: str, keys: pl.DataFrame) -> int:
        staged = prepare_keys(table, keys)
        self._match_columns(table, name)
        return self._change_parts(table, staged, lambda stage: self._change_rows(self._delete_staged(table, name, stage)))

    def _declare(self, table: Table, column: str) -> str:
        kind = self.column_types[table.columns[column].base_type()]
        return f"{kind} not null" if column in table.key else kind

    def _check_writable(self) -> None:
        if not self.writable:
            raise WarehouseError(f"{self.location}: this session was opened for reading; open one with writing() to change rows")

    def _change_rows(self, sql: str) -> int:
        self._check_writable()
        return self._change(sql)

    def _replace(self, table: Table, name: str, staged: pl.DataFrame) -> None:
        columns = self._adopt(table, name, staged)
        self._change_parts(table, staged.select(columns), lambda stage: self._replace_staged(table, name, columns, stage))

    def _change_parts(self, table: Table, rows: pl.DataFrame, change: Callable[[str], int | None]) -> int:
        """Change a table by the staged parts of rows, one after another; return how many rows this changed, where that is told."""
        if rows.is_empty():
            return 0
        with closing(self._stage_parts(table, rows)) as stages:
            return sum(change(stage) or 0 for stage in stages)

    def _stage_parts(self, table: Table, rows: pl.DataFrame) -> Generator[str]:
        """Offer rows in parts, each of which one statement can take."""
        for part in self._split(table, rows):
            with self._stage(part) as stage:
                yield stage

    def _split(self, table: Table, rows: pl.DataFrame) -> Iterable[pl.DataFrame]:  # noqa: ARG002 - an engine may look at the table
        return (rows,)

    def _replace_staged(self, table: Table, name: str, columns: Sequence[str], stage: str) -> None:
        self._change_rows(self._delete_staged(table, name, stage))
        self._change_rows(f"{self._insert(name, columns)} from {stage} as s")

    def _insert_absent(self, table: Table, name: str, columns: Sequence[str], stage: str) -> int:
        absent = f"not exists (select 1 from {self.identifier(name)} as t where {self._match_keys(table)})"
        return self._change_rows(f"{self._insert(name, columns)} from {stage} as s where {absent}")

    def _order(self, table: Table, name: str) -> str:  # noqa: ARG002 - an engine may look at the table
        """Order duplicates of a key from old to new."""
        return f" order by {self.row_id}" if self.row_id else ""

    def _insert(self, name: str, columns: Sequence[str]) -> str:
        quoted = [self.identifier(column) for column in columns]
        return f"insert into {self.identifier(name)} ({', '.join(quoted)}) select {', '.join(f's.{column}' for column in quoted)}"

    def _delete_staged(self, table: Table, name: str, stage: str) -> str:
        return f"delete from {self.identifier(name)} as t where exists (select 1 from {stage} as s where {self._match_keys(table)})"

    def _match_keys(self, table: Table) -> str:
        return " and ".join(f"t.{self.identifier(column)} = s.{self.identifier(column)}" for column in table.key)

    def _adopt(self, table: Table, name: str, staged: pl.DataFrame) -> list[str]:
        """Return the columns to write; add those that the table lacks and a row has a value for."""
        present = self._match_columns(table, name)
        wanted = [column for column in table.columns if column not in present and staged[column].count()]
        self._add_columns(table, name, wanted)
        return [*present, *wanted]

    def _add_columns(self, table: Table, name: str, columns: Sequence[str]) -> None:
        for column in columns:
            self.execute(f"alter table {self.identifier(name)} add column {self.identifier(column)} {self._declare(table, column)}")

    def _build_misfit(self, name: str, column: str, found: str | None, advice: str) -> WarehouseError:
        """Tell of a column of a type that is not ours; ``advice`` ends the sentence."""
        place = f"{self.location}: column {column} of table {name!r}"
        return WarehouseError(f"{place} is {found}, where values do not come back as they were written{advice}")

    def _match_columns(self, table: Table, name: str) -> list[str]:
        if name not in self._columns:
            found = self._find_columns(name)
            if found is None:
                raise MissingTableError(f"{self.location} has no table {name!r}; run the ingest of a batch with this table_key first")
            self._columns[name] = tuple(column.casefold() for column in found)
        present = [column for column in table.columns if column in self._columns[name]]
        missing = [column for column in table.key if column not in present]
        if missing:
            found_text = ", ".join(self._columns[name])
            raise WarehouseError(
                f"{self.location}: table {name!r} is none of ours, for it lacks {', '.join(missing)} (found: {found_text}); "
                "choose another table_key"
            )
        return present
