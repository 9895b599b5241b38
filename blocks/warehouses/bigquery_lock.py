"""The lock of a table family in BigQuery: its table, the lease of who writes, the end of a session whose lease ran out."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from anomflow.errors import WarehouseError
from anomflow.frames import find_table_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blocks.warehouses.bigquery_jobs import Jobs

# Each row with a session says until when it lives; the one without is the lock.
LEASE_COLUMNS: Final[Mapping[str, str]] = {"session_id": "string", "expires_at": "timestamp"}
LOCK_ROW: Final = ", ".join(
    ["current_timestamp() as locked_at", *(f"cast(null as {kind}) as {name}" for name, kind in LEASE_COLUMNS.items())]
)
_LOCK_SUFFIX: Final = "_lock"
_RENEWALS: Final = 4  # in the time of a lease
_LOOK_SECONDS: Final = 0.5


def name_lock(name: str) -> str:
    """Name the table that a writer of any table of a table key changes first."""
    return f"{find_table_key(name)}{_LOCK_SUFFIX}"


def build_taking(lock: str) -> str:
    """Build the statement that takes a lock, of whose table another transaction can change no row until this one ends.

    It also removes the leases that ran out: a session that still lives renews its own.
    """
    return (
        f"merge into {lock} as t using (select '' as session_id) as s on coalesce(t.session_id, '') = s.session_id "
        "when matched then update set locked_at = current_timestamp() "
        "when not matched by target then insert (locked_at) values (current_timestamp()) "
        "when not matched by source and t.expires_at < current_timestamp() then delete"
    )


class Lease:
    """What a session says outside of its transaction while it writes or waits: that it lives, and until when, by the server's clock.

    A thread renews it, so that a long statement does not let it run out. Rows are only inserted, with which BigQuery finds no conflict.
    Who waits ends the sessions of others whose lease ran out; BigQuery then refuses their commit.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._seconds = jobs.place.limits.lease_seconds
        self._locks: list[str] = []
        self._ended: set[str] = set()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._renewed_at = 0.0
        self._was_late = False

    @property
    def is_late(self) -> bool:
        """Tell whether it ran out at any time, so that another session may have ended this one."""
        return self._was_late or (bool(self._locks) and time.monotonic() - self._renewed_at > self._seconds)

    def begin(self, lock: str) -> None:
        """Begin it for a lock (the quoted name of its table), unless it was begun."""
        if lock in self._locks:
            return
        self._renewed_at = time.monotonic()
        self._locks.append(lock)
        self._announce(lock)
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_renewing, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Renew it no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(self._seconds)

    def end_others(self, lock: str) -> bool:
        """End the sessions whose lease for a lock ran out, and what their transactions hold; return whether there was one to end."""
        silent = self._find_silent(lock)
        if not silent:
            return False
        time.sleep(_LOOK_SECONDS)  # a renewal may be on its way
        silent &= self._find_silent(lock)
        for session_id in sorted(silent):
            self._ended.add(session_id)
            with contextlib.suppress(WarehouseError):  # it may have ended by itself
                self._jobs.abort(session_id)
        return bool(silent)

    def _find_silent(self, lock: str) -> set[str]:
        found = self._jobs.fetch(
            f"select session_id from {lock} where session_id is not null group by session_id having max(expires_at) < current_timestamp()",
            outside=True,
        )
        return set(found["session_id"].to_pylist()) - self._ended - {self._jobs.session_id}

    def _announce(self, lock: str) -> None:
        moment = f"timestamp_add(current_timestamp(), interval {round(self._seconds * 1000)} millisecond)"
        self._jobs.run(f"insert into {lock} (session_id, expires_at) values ('{self._jobs.session_id}', {moment})", outside=True)

    def _keep_renewing(self) -> None:
        while not self._stopped.wait(self._seconds / _RENEWALS):
            begun = time.monotonic()
            self._was_late = self.is_late
            with contextlib.suppress(Exception):  # the next one may succeed
                for lock in self._locks:
                    self._announce(lock)
                self._renewed_at = begun
