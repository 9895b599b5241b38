"""A session over a server of libSQL: SQLite's statements, sent over HTTP, many rows in each."""

from __future__ import annotations

import contextlib
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.warehouses.adbc import STAGE
from blocks.warehouses.sqlite_dialect import SQLiteDialect
from blocks.warehouses.turso_errors import TOO_LARGE, HranaError, Place, explain_failure
from blocks.warehouses.turso_values import build_frame, build_source, check_texts, split_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl

    from blocks.warehouses.turso_stream import HranaStream

_PAUSE_SECONDS: Final = 0.05
# Functions by which a server of one's own reads and writes its files.
_FILES: Final = re.compile(r"\b(readfile|writefile|fsdir|load_extension)\b", re.IGNORECASE)


class TursoSession(SQLiteDialect):
    """A session over a stream of Hrana.

    Rows go in as an argument of the statement that uses them: these servers have no temporary tables. A server takes the database
    from a session that has held it for writing longer than five seconds while another waits, and would run what that one still
    sends statement by statement; so after an error nothing more is sent.
    """

    def __init__(self, stream: HranaStream, place: Place, *, writable: bool) -> None:
        super().__init__(place.location, writable=writable)
        self.place = place
        self._hrana = stream
        self._staged: pl.DataFrame | None = None
        self._confined = False

    def begin(self) -> None:
        end = time.monotonic() + self.place.limits.lock_seconds
        while True:
            try:
                self._run("begin immediate" if self.writable else "begin")
            except WarehouseBusyError:
                if time.monotonic() >= end:
                    raise
                self.broken = False
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def commit(self) -> None:
        with self._speak():
            self._hrana.end("commit")

    def rollback(self) -> None:
        # The server undoes what its connection has open when it is given back, or has been idle.
        with contextlib.suppress(Exception):
            self._hrana.close()

    def confine(self) -> None:
        self._confined = True

    @contextmanager
    def _speak(self) -> Iterator[None]:
        if self.broken:
            raise WarehouseError(f"{self.location}: a statement of this session had failed, so nothing more is done in it")
        limits = self.place.limits
        try:
            yield
        except HranaError as error:
            self.broken = self.writable or not self._hrana.is_open
            raise explain_failure(error, self.place) from error
        except httpx.ReadTimeout as error:
            self.broken = True
            advice = f"it took longer than {limits.statement_seconds:g} s; make it faster or raise statement_timeout_seconds"
            raise WarehouseError(f"{self.location} refused a statement: {advice}") from error
        except httpx.ConnectError as error:
            self.broken = True
            raise WarehouseUnavailableError(f"{self.location} cannot be reached: {error}") from error
        except httpx.HTTPError as error:
            self.broken = True
            words = str(error) or type(error).__name__
            raise WarehouseUnavailableError(f"{self.location}: the connection was lost, so this session was undone ({words})") from error

    def _run(self, sql: str, arguments: Sequence[Any] = ()) -> int:
        with self._speak():
            return int(self._hrana.execute(sql, arguments)["affected_row_count"])

    def _change(self, sql: str) -> int:
        if self._staged is None:
            return self._run(sql)
        names = [self.identifier(name) for name in self._staged.columns]
        sources = (build_source(part, self.identifier(STAGE), names) for part in split_rows(self._staged))
        return sum(self._run(f"{source.sql} {sql}", source.arguments) for source in sources)

    @contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        check_texts(rows, self.location)
        self._staged = rows
        try:
            yield self.identifier(STAGE)
        finally:
            self._staged = None

    def _fetch(self, sql: str) -> pl.DataFrame:
        if not self.writable:
            self._check_query(sql)
        with self._speak():
            columns, chunks = self._ask(sql)
            return build_frame(columns, chunks, self.location)

    def _ask(self, sql: str) -> tuple[Sequence[Any], Iterable[Sequence[Any]]]:
        try:
            result = self._hrana.execute(sql)
        except HranaError as error:
            if error.code != TOO_LARGE:
                raise
        else:
            return result["cols"], [result["rows"]]
        # Chunk by chunk, since an answer takes twenty times the memory of its frame.
        chunks = self._hrana.stream(sql)
        return next(chunks, []), chunks

    def _check_query(self, sql: str) -> None:
        if self._confined and (found := _FILES.search(sql)):
            raise WarehouseError(f"{self.location} refused a statement: {found[0]} reads or writes files of the server")
        if sql.lstrip()[:6].casefold() == "select":  # which cannot change anything
            return
        with self._speak():
            if self._hrana.is_readonly(sql):
                return
        raise WarehouseError(f"{self.location} refused a statement: a session for reading is read-only, and this is no query")
