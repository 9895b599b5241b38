"""What PostgreSQL's errors mean, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anomflow.errors import WarehouseError, WarehouseUnavailableError
from blocks.warehouses.sqlstates import LOCK_TIMEOUT, READ_ONLY, STATEMENT_TIMEOUT, find_error_class

if TYPE_CHECKING:
    from blocks.warehouses.server import Limits

# The server's own words, without the statement, which the driver repeats behind them.
_SAID: Final = re.compile(r"(?:ERROR|FATAL|PANIC): +(.*?)(?:\n+Query was:|\. SQLSTATE:|\s*\Z)", re.DOTALL)
# What a server says that will take connections again.
_PASSING: Final = ("starting up", "shutting down", "too many", "remaining connection slots", "recovery", "not accepting connections")


@dataclass(frozen=True)
class Failure:
    """A statement that failed: the server's words, its SQLSTATE, how long it took in seconds, whether the connection went with it."""

    words: str
    state: str | None
    seconds: float
    is_lost: bool


def read_failure(error: Exception, seconds: float, *, is_lost: bool) -> Failure:
    """Take from the ADBC driver's error what the server said."""
    said = _SAID.search(str(error))
    return Failure((said[1] if said else str(error)).strip(), getattr(error, "sqlstate", None), seconds, is_lost)


def explain_failure(failure: Failure, location: str, limits: Limits) -> WarehouseError:
    """Turn a failed statement into an error of ours.

    What goes wrong while rows are fetched has words and no SQLSTATE, so the connection's end and a time-out are told by their effects.
    """
    state, words = failure.state, failure.words
    if failure.is_lost:
        return WarehouseUnavailableError(f"{location}: the connection was lost, so this session was undone ({words})")
    if state == LOCK_TIMEOUT:
        return find_error_class(state)(limits.describe_wait(location, words))
    if state == STATEMENT_TIMEOUT or (state is None and failure.seconds >= limits.statement_seconds):
        words = f"it took longer than {limits.statement_seconds:g} s; make it faster or raise statement_timeout_seconds ({words})"
    if state == READ_ONLY:
        words = f"{words}; it is read-only: a standby, or a session for reading"
    return find_error_class(state)(f"{location} refused a statement: {words}")


def explain_refusal(words: str, location: str) -> WarehouseError:
    """Turn what libpq said of a connection that was not made into an error of ours; ``words`` hold no secret any more."""
    said = words.removeprefix("IO: [libpq] Failed to connect: ").strip()
    if "connection to server" not in said and "could not translate" not in said:  # of the address itself, parts of which it quotes
        return WarehouseError(f"{location} cannot be connected to: libpq does not understand the uri or the options")
    if "FATAL" in said and not any(sign in said for sign in _PASSING):
        return WarehouseError(f"{location} refused the connection: {said}")
    return WarehouseUnavailableError(f"{location} cannot be reached: {said}")
