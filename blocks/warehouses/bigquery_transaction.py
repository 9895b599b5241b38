"""The transaction of a session over BigQuery: when it begins, its statements, one writer of a table family at a time."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, ClassVar, Final

from anomflow.errors import WarehouseBusyError, WarehouseError
from blocks.warehouses.bigquery_errors import is_conflict
from blocks.warehouses.bigquery_lock import LEASE_COLUMNS, LOCK_ROW, Lease, build_taking, name_lock
from blocks.warehouses.bigquery_values import build_frame
from blocks.warehouses.relational import RelationalSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from blocks.warehouses.bigquery_jobs import Jobs

_PAUSE_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 4.0)


class BigQueryTransaction(RelationalSession):
    """A session of BigQuery's with one transaction over all its statements; one for reading is single queries.

    BigQuery sees no conflict between two transactions that only insert, so each writer first changes the same row of the
    table ``<table_key>_lock``: of two at once one is ended and tries again. A transaction outlives its process, so a writer has a
    lease too: who waits ends the session of one whose lease ran out.
    """

    dialect: ClassVar[str] = "bigquery"

    def __init__(self, jobs: Jobs, *, writable: bool) -> None:
        super().__init__(jobs.place.location, writable=writable)
        self.jobs = jobs
        self._rows: str | None = None  # what a statement brings with it
        self._is_begun = False
        self._is_used = False
        self._locked: set[str] = set()
        self._lease = Lease(jobs)

    def begin(self) -> None:
        """Do nothing: the transaction begins with the first table, so that its state is not older than the lock."""

    def commit(self) -> None:
        if self._is_begun:
            self._run("commit transaction")
            self._is_begun = False

    def rollback(self) -> None:
        if self._is_begun:
            self._is_begun = False
            with contextlib.suppress(Exception):  # it may have been ended by the engine: it is undone either way
                self.jobs.run("rollback transaction")

    def close(self) -> None:
        """End the session; never raise."""
        self._lease.end()
        self.jobs.end_session()

    def read(self, sql: str) -> pl.DataFrame:
        if not self.writable:
            with self._breaking():
                kind = self.jobs.find_statement(sql)
            if kind != "SELECT":
                raise WarehouseError(f"{self.location} refused a statement: this session is read-only and takes a SELECT, not {kind}")
        return super().read(sql)

    def _begin(self) -> None:
        if not self._is_begun:
            with self._breaking():
                self.jobs.begin_session()
            self._is_begun = True

    def _fetch(self, sql: str) -> pl.DataFrame:
        with self._breaking():
            return build_frame(self.jobs.fetch(sql), self.location)

    def _change(self, sql: str) -> int:
        self._begin()
        self._is_used = True
        return self._run(sql)

    def _run(self, sql: str) -> int:
        with self._breaking():
            return self.jobs.run(sql, self._rows)

    @contextlib.contextmanager
    def _breaking(self) -> Iterator[None]:
        try:
            yield
        except WarehouseError as error:
            self.broken = True
            if not self._lease.is_late:
                raise
            silent = f"this session was silent for longer than {self.jobs.place.limits.lease_seconds:g} s, so another may have ended it"
            raise WarehouseBusyError(f"{self.location}: {silent}, and it was undone; run again ({error})") from error

    def _refuse_late(self, made: str) -> None:
        """Undo a session whose transaction is older than what it needs; tried again, it finds that."""
        if self._is_begun:
            self.broken = True
            raise WarehouseBusyError(f"{self.location}: {made}, so this session was undone; run again")

    def _ensure_lock(self, lock: str) -> None:
        found = self._find_columns(lock)
        if found is None:
            self.execute(f"create table if not exists {self.identifier(lock)} as select {LOCK_ROW}")
            self._refuse_late(f"table {lock!r} was made")
        elif "session_id" not in found:
            for name, kind in LEASE_COLUMNS.items():
                self.execute(f"alter table {self.identifier(lock)} add column if not exists {name} {kind}")

    def _lock(self, name: str) -> None:
        """Wait until no other session writes the tables of this table key."""
        lock = name_lock(name)
        if lock in self._locked:
            return
        self._ensure_lock(lock)
        self._take(self.identifier(lock))
        self._locked.add(lock)

    def _take(self, lock: str) -> None:
        end, pauses = time.monotonic() + self.jobs.place.limits.lock_seconds, iter(_PAUSE_SECONDS)
        while not self._try_to_take(lock, end):
            time.sleep(next(pauses, _PAUSE_SECONDS[-1]))

    def _try_to_take(self, lock: str, end: float) -> bool:
        self._begin()
        try:
            self._lease.begin(lock)
            self.jobs.run(build_taking(lock))
        except WarehouseError as error:
            is_freed = is_conflict(str(error)) and self._lease.end_others(lock)
            # What this session did before would be undone without a word.
            if self._is_used or self._locked or not is_conflict(str(error)) or (time.monotonic() > end and not is_freed):
                self.broken = True
                raise
            self.rollback()
            return False
        return True
