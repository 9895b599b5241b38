"""One writer of a table family at a time, among processes, on an engine without locks: rows of the table ``<table_key>_lock``.

A writer inserts its row first and looks for others' afterwards, so that of two at once at least one sees the other and steps back.
Rows end by the server's clock: a writer that was killed is waited for until its lease is over. Then its commit, if it had said that
it commits, is carried out by the next.
"""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from anomflow.errors import WarehouseBusyError, WarehouseError
from blocks.warehouses.clickhouse_errors import UNKNOWN_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from blocks.warehouses.clickhouse_server import Server

HELD: Final = "held"
COMMITTING: Final = "committing"
RELEASED: Final = "released"
_PAUSE_SECONDS: Final = (0.02, 0.15)
_COLUMNS: Final = (
    "id String, step UInt32, state LowCardinality(String), until DateTime64(6, 'UTC'), note String, "
    "at DateTime64(6, 'UTC') default now64(6)"
)
# A row is never the last of its id while that one goes on: only what was released is thrown away.
_LAYOUT: Final = "engine = ReplacingMergeTree(step) order by id ttl toDateTime(at) + interval 1 day delete where state = 'released'"


@dataclass(frozen=True)
class Holder:
    """A session that did not release the lock; a dead one's lease is over. ``note`` is what it was to commit."""

    id: str
    state: str
    note: str
    is_alive: bool


@dataclass
class Lease:
    """The lock of a table family; ``quoted`` names its table, ``literal`` renders a text."""

    server: Server
    quoted: str
    literal: Callable[[object], str]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _step: int = 0
    _state: str = HELD
    _note: str = ""
    _renewed: float = 0.0
    _may_commit: bool = False

    def ensure_table(self) -> None:
        """Make the table of the lock."""
        self.server.run(f"create table if not exists {self.quoted} ({_COLUMNS}) {_LAYOUT}")

    def acquire(self) -> Sequence[Holder]:
        """Wait until no other session holds the lock, take it, and return the dead that left something behind.

        Raises:
            WarehouseBusyError: others held it for all the time.
        """
        end = time.monotonic() + self.server.limits.lock_seconds
        while True:
            if not any(holder.is_alive for holder in self._read_others()):
                self._write(HELD)
                others = self._read_others()
                if not any(holder.is_alive for holder in others):
                    return others
                self.release()
            if time.monotonic() >= end:
                waited = f"another session wrote the same tables for longer than {self.server.limits.lock_seconds:g} s"
                raise WarehouseBusyError(f"{self.server.location}: {waited}, so this one was undone; run again")
            time.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - jitter, no secret

    def renew(self) -> None:
        """Give a sign of life where the last was a while ago.

        Raises:
            WarehouseBusyError: it comes too late, so others may have written.
        """
        if time.monotonic() - self._renewed > self.server.limits.lease_seconds / 4:
            self._prolong(self._state, self._note)

    def begin_commit(self, note: str) -> None:
        """Say what is to be committed: from now on it is, by this session or by the next.

        Raises:
            WarehouseBusyError: the lease is over.
        """
        self._may_commit = True
        self._prolong(COMMITTING, note)

    def cancel_commit(self) -> None:
        """Take back what was said of a commit that failed before anything was changed."""
        if self._may_commit:
            self._state, self._note = HELD, ""
            self._write(HELD)

    def abandon_commit(self) -> None:
        """Leave a commit to the next session, at once."""
        self._step += 1
        self._insert(self.id, COMMITTING, self._note, "now64(6)")

    def release(self) -> None:
        """Let others write."""
        self._step += 1
        self._insert(self.id, RELEASED, "", "now64(6)")

    def bury(self, holder: Holder) -> None:
        """Forget a dead session, whose commit was carried out."""
        self._step += 1
        self._insert(holder.id, RELEASED, "", "now64(6)", step=2**32 - 1)

    def _write(self, state: str) -> None:
        self._step += 1
        self._renewed = time.monotonic()
        self._insert(self.id, state, self._note, f"now64(6) + toIntervalMillisecond({self._lease_milliseconds})")

    def _prolong(self, state: str, note: str) -> None:
        begun = time.monotonic()
        self._step += 1
        alive = f"(select max(until) from {self.quoted} where id = {self.literal(self.id)}) > now64(6)"
        self._insert(self.id, state, note, f"now64(6) + toIntervalMillisecond({self._lease_milliseconds})", where=alive)
        found = self.server.fetch(f"select max(step) as step from {self.quoted} where id = {self.literal(self.id)}")
        if found["step"].to_list() != [self._step]:
            late = f"this session gave no sign of life for {self.server.limits.lease_seconds:g} s, so it was undone"
            raise WarehouseBusyError(f"{self.server.location}: {late}; run again, or raise lease_seconds")
        self._state, self._note, self._renewed = state, note, begun

    @property
    def _lease_milliseconds(self) -> int:
        return round(self.server.limits.lease_seconds * 1000)

    def _insert(self, name: str, state: str, note: str, until: str, *, step: int | None = None, where: str = "true") -> None:
        values = f"{self.literal(name)}, {step or self._step}, {self.literal(state)}, {until}, {self.literal(note)}"
        self.server.run(f"insert into {self.quoted} (id, step, state, until, note) select {values} where {where}")

    def _read_others(self) -> list[Holder]:
        query = (
            f"select id, argMax(state, step) as last, argMax(note, step) as left, argMax(until, step) > now64(6) as alive "
            f"from {self.quoted} where id <> {self.literal(self.id)} group by id having last <> {self.literal(RELEASED)}"
        )
        try:
            found = self.server.fetch(query)
        except WarehouseError as error:
            if getattr(error.__cause__, "code", None) != UNKNOWN_TABLE:
                raise
            self.ensure_table()
            return []
        return [Holder(name, state, note, bool(alive)) for name, state, note, alive in found.iter_rows()]
