"""What an SQLSTATE means: whether the same may go well when it is tried again."""

from __future__ import annotations

from typing import Final

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError

STATEMENT_TIMEOUT: Final = "57014"
READ_ONLY: Final = "25006"
LOCK_TIMEOUT: Final = "55P03"
_BUSY: Final = (LOCK_TIMEOUT, "40001", "40P01", "55006")  # a lock that is held, a conflict of transactions, a deadlock, an object in use
# The connection failed; the server ends, restarts or starts; it has too many connections, or no memory for this one.
_UNAVAILABLE: Final = ("08", "57P01", "57P02", "57P03", "57P05", "53300", "53200", "25P03")


def find_error_class(sqlstate: str | None) -> type[WarehouseError]:
    """Return what to raise for an SQLSTATE; only the transient ones are tried again."""
    if sqlstate and sqlstate.startswith(_UNAVAILABLE):
        return WarehouseUnavailableError
    return WarehouseBusyError if sqlstate in _BUSY else WarehouseError
