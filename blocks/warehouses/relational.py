"""What all relational engines share: the SQL of a session, on three primitives that an engine gives."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import polars as pl
from prefect.blocks.core import Block

from anomflow.conform import conform_times
from anomflow.errors import FrameError, MissingTableError, WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from anomflow.frames import Table


class RelationalSession(ABC):
    """One open connection in one transaction; see ``anomflow.protocols.Session``.

    An engine gives ``_fetch``, ``_change``, ``_stage`` and ``_find_columns``, its dialect and its types.
    A number that is not finite is written as null, everywhere. A column of ours that a table made by others
    lacks reads as null, and is added by the first write that has a value for it.
    """

    dialect: ClassVar[str]
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

    def confine(self) -> None:  # noqa: B027 - an engine that lets a reader do nothing more has nothing to give up
        """Give up what an engine lets a reader do beyond its database."""

    @property
    def tie_break(self) -> str:
        return self.row_id or self.identifier("metric_value")

    def read(self, sql: str) -> pl.DataFrame:
        frame = self._fetch(sql)
        zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None]
        naive = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone is None]
        return frame.with_columns(pl.col(zoned).dt.convert_time_zone("UTC").dt.cast_time_unit("us"), pl.col(naive).dt.cast_time_unit("us"))

    def read_table(self, table: Table, name: str, where: str = "true") -> pl.DataFrame:
        present = self._match_columns(table, name)
        listed = ", ".join(f"{self.identifier(column)} as {self.identifier(column)}" for column in present)
        order = f" order by {self.row_id}" if self.row_id else ""
        frame = conform_times(self._fetch(f"select {listed} from {self.identifier(name)} where ({where}){order}"))
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
        with self._stage(staged.select(columns)) as stage:
            absent = f"not exists (select 1 from {self.identifier(name)} as t where {self._match_keys(table)})"
            return self._change_rows(f"{self._insert(name, columns)} from {stage} as s where {absent}")

    def delete_keys(self, table: Table, name: str, keys: pl.DataFrame) -> int:
        staged = prepare_keys(table, keys)
        self._match_columns(table, name)
        with self._stage(staged) as stage:
            return self._change_rows(self._delete_staged(table, name, stage))

    def literal(self, value: object) -> str:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            text = repr(value)
            return text if "e" in text else f"{text}e0"  # without an exponent some engines read a decimal
        if isinstance(value, datetime):
            return self._time_literal(to_utc(value))
        if isinstance(value, str):
            return self._text_literal(value)
        raise WarehouseError(f"a {type(value).__name__} cannot be written as SQL; use text, a number, a boolean, None or a zoned datetime")

    def identifier(self, name: str) -> str:
        if "\0" in name or not all(name.split(".")):
            raise WarehouseError(f"{name!r} cannot name a table or column: it has an empty part or a NUL character")
        return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))

    def _text_literal(self, value: str) -> str:
        if "\0" in value:
            raise WarehouseError(f"the text {value[:80]!r} has a NUL character, which SQL cannot hold")
        return "'" + value.replace("'", "''") + "'"

    def _time_literal(self, moment: datetime) -> str:
        return f"timestamptz '{moment:%Y-%m-%d %H:%M:%S.%f}+00:00'"

    def _declare(self, table: Table, column: str) -> str:
        kind = self.column_types[table.columns[column].base_type()]
        return f"{kind} not null" if column in table.key else kind

    def _change_rows(self, sql: str) -> int:
        if not self.writable:
            raise WarehouseError(f"{self.location}: this session was opened for reading; open one with writing() to change rows")
        return self._change(sql)

    def _replace(self, table: Table, name: str, staged: pl.DataFrame) -> None:
        columns = self._adopt(table, name, staged)
        with self._stage(staged.select(columns)) as stage:
            self._change_rows(self._delete_staged(table, name, stage))
            self._change_rows(f"{self._insert(name, columns)} from {stage} as s")

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


class RelationalWarehouse(Block):
    """Be the base of the warehouse blocks; a class with a ``kind`` is an engine."""

    kind: ClassVar[str] = ""
    dialect: ClassVar[str] = ""

    @property
    def location(self) -> str:
        raise NotImplementedError

    def _open(self, *, writable: bool) -> AbstractContextManager[RelationalSession]:
        """Connect, and close when the context ends."""
        raise NotImplementedError

    @contextmanager
    def reading(self) -> Iterator[RelationalSession]:
        with self._open(writable=False) as session:
            session.begin()
            try:
                yield session
            finally:
                session.rollback()

    @contextmanager
    def writing(self) -> Iterator[RelationalSession]:
        with self._open(writable=True) as session:
            session.begin()
            try:
                yield session
                commit_whole(session)
            except BaseException:
                session.rollback()
                raise


def commit_whole(session: RelationalSession) -> None:
    """Commit, unless a statement failed and its error was caught: some engines would then keep half of the session."""
    if session.broken:
        raise WarehouseError(f"{session.location}: a statement of this session had failed, so all of it was undone")
    session.commit()


def prepare_rows(table: Table, rows: pl.DataFrame, *, keep: str) -> pl.DataFrame:
    """Bring rows into the table's columns and types, one row a key (the first or last), numbers that are not finite as null.

    Raises:
        FrameError: columns are missing, unknown or of another type, or a key is null.
    """
    missing = [column for column in table.columns if column not in rows.columns]
    unknown = [column for column in rows.columns if column not in table.columns]
    if missing or unknown:
        raise FrameError(
            f"rows for a table *{table.suffix} lack {missing or 'nothing'} and have {unknown or 'nothing'} that it does not know"
        )
    typed = _cast(table, rows.select(list(table.columns)))
    floats = [column for column, dtype in table.columns.items() if dtype == pl.Float64]
    finite = typed.with_columns(pl.when(pl.col(column).is_finite()).then(pl.col(column)).alias(column) for column in floats)
    return finite.unique(subset=table.key, keep="last" if keep == "last" else "first", maintain_order=True)


def prepare_keys(table: Table, keys: pl.DataFrame) -> pl.DataFrame:
    """Take the key columns of rows, typed, each key once.

    Raises:
        FrameError: a key column is missing, of another type or null.
    """
    missing = [column for column in table.key if column not in keys.columns]
    if missing:
        raise FrameError(f"keys of a table *{table.suffix} lack {', '.join(missing)}; found: {', '.join(keys.columns)}")
    return _cast(table, keys.select(table.key)).unique(maintain_order=True)


def _cast(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    naive = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone is None]
    if naive:
        raise FrameError(f"column {', '.join(naive)} holds naive times; give it a time zone (conform_times)")
    try:
        typed = rows.select(pl.col(name).cast(table.columns[name]) for name in rows.columns)
    except pl.exceptions.PolarsError as error:
        raise FrameError(f"rows do not fit a table *{table.suffix}: {error}") from error
    nulls = [column for column in table.key if typed[column].null_count()]
    if nulls:
        raise FrameError(f"rows for a table *{table.suffix} have a null in {', '.join(nulls)}, which is part of the key")
    return typed


def to_utc(moment: datetime) -> datetime:
    """Return a zoned datetime in UTC.

    Raises:
        WarehouseError: it has no time zone.
    """
    if moment.tzinfo is None:
        raise WarehouseError(f"{moment!r} has no time zone; write it as UTC")
    return moment.astimezone(UTC)
