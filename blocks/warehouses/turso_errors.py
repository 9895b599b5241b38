"""What the errors of a libSQL server mean, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError
from blocks.warehouses.files import describe_refusal
from blocks.warehouses.server import Limits

TOO_LARGE: Final = "RESPONSE_TOO_LARGE"
_BUSY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "TRANSACTION_BUSY", "TRANSACTION_TIMEOUT")
_LOST: Final = ("STREAM_EXPIRED", "STREAM_CLOSED")
_NOT_LET_IN: Final = (401, 403)
_PASSING: Final = (408, 425, 429, 502, 503, 504)


@dataclass(frozen=True)
class StreamLimits(Limits):
    """How long a connection may take besides, in seconds."""

    connect_seconds: float


@dataclass(frozen=True)
class Place:
    """A database: its name for messages, its limits."""

    location: str
    limits: StreamLimits


class HranaError(Exception):
    """Carry what the server said: its code, or the status of its answer."""

    def __init__(self, words: str, code: str = "", status: int = 200) -> None:
        super().__init__(words)
        self.code = code
        self.status = status


def explain_failure(error: HranaError, place: Place) -> WarehouseError:
    """Turn what the server said into an error of ours; only the transient ones are tried again."""
    location, words = place.location, str(error)
    if error.status in _NOT_LET_IN:
        return WarehouseError(f"{location} refused the token: {words}; {_advise(words)}")
    if error.status in _PASSING:
        return WarehouseUnavailableError(f"{location} cannot be reached: it answered {error.status} ({words})")
    if error.code.startswith(_BUSY):
        held = f"another session wrote, and this one had held the database for 5 s or waited for {place.limits.lock_seconds:g} s"
        return WarehouseBusyError(f"{location}: {held}, so it was undone; run again, or raise lock_timeout_seconds ({words})")
    if error.code in _LOST or "invalid baton" in words:
        return WarehouseUnavailableError(
            f"{location}: the connection was lost or had been idle for 10 s, so this session was undone ({words})"
        )
    if error.status == 404:  # noqa: PLR2004 - as HTTP has it
        return WarehouseError(f"{location} is no database of a libSQL server that speaks Hrana 3; correct the url ({words or 'not found'})")
    return WarehouseError(describe_refusal(location, words))


def _advise(words: str) -> str:
    if "ermission" in words:
        return "it may only read; take one that may write (turso db tokens create NAME)"
    return "make a new one (turso db tokens create NAME) and set auth_token, or ANOMFLOW_TURSO_AUTH_TOKEN"
