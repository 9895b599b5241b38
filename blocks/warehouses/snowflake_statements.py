"""Statements of Snowflake: names and values in its SQL, transactions, queries, DDL."""

from __future__ import annotations

import contextlib
import re
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseBusyError, WarehouseError
from blocks.warehouses.relational import RelationalSession
from blocks.warehouses.snowflake_errors import MISSING, explain_failure, find_code
from blocks.warehouses.snowflake_values import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from blocks.warehouses.server import Limits

_NAME_LENGTH: Final = 255
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_$]*")
_GAP: Final = r"(?:\s|--[^\n]*(?:\n|\Z)|//[^\n]*(?:\n|\Z)|/\*.*?\*/)*"
_FIRST_WORD: Final = re.compile(rf"{_GAP}(?:\({_GAP})*(\w*)", re.DOTALL)
_QUERIES: Final = frozenset({"select", "with", "values", "table", "show", "describe", "desc", "explain", "list", "ls"})
_DEFINITIONS: Final = frozenset({"create", "alter", "drop", "undrop", "truncate", "comment", "grant", "revoke", "use"})
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Place:
    """A database: its name for messages, its limits."""

    location: str
    limits: Limits


class SnowflakeStatements(RelationalSession):
    """What a session says to Snowflake, over a connection of its own connector that binds parameters on the server."""

    dialect: ClassVar[str] = "snowflake"

    def __init__(self, connection: Any, place: Place, *, writable: bool) -> None:
        super().__init__(place.location, writable=writable)
        self.connection = connection
        self.limits = place.limits
        self._parameters: tuple[str, ...] = ()
        self._is_fresh = True

    def begin(self) -> None:
        self._run("begin transaction")

    def commit(self) -> None:
        self._run("commit")

    def rollback(self) -> None:
        # The connection may be gone: what it did is undone either way.
        with contextlib.suppress(Exception):
            self._run("rollback")

    def identifier(self, name: str) -> str:
        if any(len(part) > _NAME_LENGTH for part in name.split(".")):
            raise WarehouseError(f"{name!r} cannot name a table or column: it has more than {_NAME_LENGTH} characters")
        # What needs no quotes is what everybody else writes without, which Snowflake capitalises.
        return super().identifier(".".join(part.upper() if _PLAIN.fullmatch(part) else part for part in name.split(".")))

    def execute(self, sql: str) -> int:
        if _find_first_word(sql) not in _DEFINITIONS:
            return self._insist(lambda: self._change_rows(sql))
        self._check_writable()
        self._define(sql)
        return 0

    def _text_literal(self, value: str) -> str:
        return super()._text_literal(value).replace("\\", "\\\\")

    def _time_literal(self, moment: Any) -> str:
        return f"'{moment:%Y-%m-%d %H:%M:%S.%f}+00:00'::timestamp_ltz"

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        from snowflake.connector import errors  # noqa: PLC0415 - the driver is loaded, for there is a connection

        try:
            with closing(self.connection.cursor()) as cursor:
                yield cursor
        except (errors.Error, pl.exceptions.PolarsError) as error:
            self.broken = True
            raise explain_failure(error, self.location, self.limits) from error

    def _run(self, sql: str) -> int:
        with self._cursor() as cursor:
            cursor.execute(sql, self._parameters or None)
            return int(cursor.rowcount or 0)

    def _change(self, sql: str) -> int:
        return max(self._run(sql), 0)

    def _insist(self, run: Callable[[], int]) -> int:
        """Change rows that another session holds as soon as it lets go, where nothing was read or written in this one yet."""
        end = time.monotonic() + self.limits.lock_seconds
        while True:
            try:
                changed = run()
            except WarehouseBusyError:
                if not self._is_fresh or time.monotonic() >= end:
                    raise
                self._run("rollback")
                self._run("begin transaction")
                self.broken = False
                time.sleep(_PAUSE_SECONDS)
            else:
                self._is_fresh = False
                return changed

    def _define(self, sql: str) -> None:
        """Run DDL, with which Snowflake commits what was written before; then go on in a new transaction."""
        if self.broken:
            raise WarehouseError(f"{self.location}: a statement of this session had failed, so nothing more is done in it")
        self._columns.clear()
        self._run("commit")
        self._run(sql)
        self._run("begin transaction")
        self._resume()

    def _resume(self) -> None:
        """Take again what a commit gave back."""

    def _fetch(self, sql: str) -> pl.DataFrame:
        word = _find_first_word(sql)
        if not self.writable and word not in _QUERIES:
            raise WarehouseError(
                f"{self.location} refused a statement: a session for reading is read-only, and {word!r} begins no query; "
                f"use one of {', '.join(sorted(_QUERIES))}"
            )
        self._is_fresh = False
        with self._cursor() as cursor:
            cursor.execute(sql)
            return read_rows(cursor, self.location)

    def _describe(self, quoted: str) -> dict[str, str] | None:
        """Return the type of each column of a table, None where there is none (or none for this role)."""
        from snowflake.connector import errors  # noqa: PLC0415 - the driver is loaded, for there is a connection

        with self._cursor() as cursor:
            try:
                cursor.execute(f"describe table {quoted}")
            except errors.ProgrammingError as error:
                if find_code(error) in MISSING:
                    return None
                raise
            return {row[0]: row[1] for row in cursor.fetchall()}


def _find_first_word(sql: str) -> str:
    found = _FIRST_WORD.match(sql)
    return found[1].casefold() if found else ""
