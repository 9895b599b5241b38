"""Sessions of MotherDuck: one writer at a time by a row, a limit of time for each statement, and what its refusals mean."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.warehouses.duckdb_session import DuckDBSession
from blocks.warehouses.locking import Wait
from blocks.warehouses.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duckdb import DuckDBPyConnection
    from pydantic import SecretStr

TURNS: Final = "anomflow_turns"
_CONFLICT: Final = re.compile(r"TransactionContext Error: .*conflict", re.IGNORECASE | re.DOTALL)
_EXTENSION: Final = re.compile(r'IO Error: (.*extension "(.*/)?(md|motherduck)\b|Can.t find the home directory)', re.IGNORECASE)
_OF_THE_STATEMENT: Final = re.compile(r"(Parser|Binder|Catalog|Conversion|Constraint|Out of Range) Error")  # these quote it
_LOGIN: Final = re.compile(r"not authenticated|motherduck token|\bjwt\b", re.IGNORECASE)
# Words of gRPC, by which the extension speaks to the service, and of its sockets.
_LOST: Final = re.compile(
    r"\b(UNAVAILABLE|DEADLINE_EXCEEDED)\b|connection (was )?(reset|refused|closed|lost)|failed to connect|timed out", re.IGNORECASE
)


@dataclass(frozen=True)
class Place:
    """A database: how it is called in errors, the token that they must not tell, and the limits in seconds."""

    location: str
    token: SecretStr
    statement_seconds: float
    lock_seconds: float


class MotherDuckSession(DuckDBSession):
    """A session over a connection to MotherDuck, or to a DuckDB that behaves like it.

    Tables have no primary key, as in DuckDB. One session at a time writes: the first statement of its transaction updates
    the one row of ``anomflow_turns``, which a second transaction cannot until the first has ended. A transaction sees the
    database as it is at that update, so all that others have written before.
    """

    row_id: ClassVar[str] = ""  # nothing says that MotherDuck has DuckDB's, nor that it lasts
    frugal: ClassVar[Mapping[str, str]] = {}  # MotherDuck's memory, and a second try would see other rows

    def __init__(self, connection: DuckDBPyConnection, place: Place, *, writable: bool) -> None:
        super().__init__(connection, place.location, writable=writable)
        self.place = place

    def _begin(self) -> None:
        if not self.writable:
            super()._begin()
            return
        wait = Wait(self.location, self.place.lock_seconds)
        while not self._take_turn():
            try:
                wait.pause("another session")
            except WarehouseBusyError:
                raise WarehouseBusyError(
                    f"{self.location}: another session was still writing after {wait.seconds:g} s; run again, or raise lock_timeout_seconds"
                ) from None

    def _take_turn(self) -> bool:
        """Begin a transaction that nobody else writes beside; False where another one does."""
        try:
            self._run(f"create table if not exists {TURNS} as select 0::bigint as turn")
            super()._begin()
            if not self._change(f"update {TURNS} set turn = turn + 1"):
                raise WarehouseError(f"{self.location}: the table {TURNS}, by whose row one session at a time writes, is empty; drop it")
        except WarehouseBusyError:
            self.rollback()
            self.broken = False
            return False
        return True

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        late = threading.Event()
        timer = threading.Timer(self.place.statement_seconds, self._interrupt, (late,))
        timer.daemon = True
        timer.start()
        try:
            yield
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            self.broken = True
            if late.is_set():
                raise WarehouseError(
                    f"{self.location}: a statement took longer than {self.place.statement_seconds:g} s and was ended; "
                    "make it cheaper or raise statement_timeout_seconds"
                ) from None
            raise explain_refusal(error, self.place) from None  # the cause may quote the token
        finally:
            timer.cancel()

    def _interrupt(self, late: threading.Event) -> None:
        late.set()
        self.connection.interrupt()


def explain_refusal(error: Exception, place: Place) -> WarehouseError:
    """Say what an error of DuckDB or of the extension means; only what may pass is transient."""
    words = redact(str(error), (place.token.get_secret_value(),))
    if _OF_THE_STATEMENT.match(words):
        return WarehouseError(f"{place.location} refused a statement: {words}")
    if _EXTENSION.match(words):
        return WarehouseError(
            f"{place.location}: DuckDB's extension motherduck is not installed and could not be had; give DuckDB a home folder and "
            f'the way to its extensions, or put it into the image by duckdb.sql("install motherduck") ({words})'
        )
    if _LOGIN.search(words):
        return WarehouseError(
            f"{place.location} refused the token; make a new one and set token, ANOMFLOW_MOTHERDUCK_TOKEN or motherduck_token ({words})"
        )
    if _CONFLICT.match(words):
        return WarehouseBusyError(f"{place.location}: another session wrote at the same time, so this one was undone ({words})")
    if _LOST.search(words):
        return WarehouseUnavailableError(f"{place.location} cannot be reached, or the connection was lost ({words})")
    return WarehouseError(f"{place.location} refused a statement: {words}")
