"""What the errors of ClickHouse and its client mean, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError

if TYPE_CHECKING:
    from blocks.warehouses.server import LeaseLimits

UNKNOWN_TABLE: Final = 60
# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp: what passes by itself.
_PASSING: Final = frozenset(
    {202, 203, 209, 210, 225, 236, 242, 252, 279, 285, 319, 425, 439, 999}  # too much at once, the network, the keeper, a replica
)
_DEADLOCK: Final = 473
_TIMEOUTS: Final = frozenset({159, 160})
_MEMORY: Final = 241
_SYNTAX: Final = 62
_SHOWN: Final = 200  # characters of a statement
_REFUSALS: Final = frozenset({81, 192, 193, 194, 195, 516})
_ADVICE: Final = {
    81: "create the database, or correct the field `database`",
    179: "a name is given to more than one occurrence of a column; name the columns apart",
    497: "grant it to the user (docs/sources/clickhouse.md lists what is needed)",
}
_SAID: Final = re.compile(r".*?server response: (.*?)(?: \(for url .*)?\Z", re.DOTALL)
_GATEWAY: Final = re.compile(r"\b(429|502|503|504)\b")


def explain_failure(error: Any, sql: str, location: str, limits: LeaseLimits) -> WarehouseError:
    """Turn a failed statement into an error of ours; only the transient ones are tried again."""
    code, words = getattr(error, "code", None), _find_words(error)
    if code == _SYNTAX:  # of which it tells only the place
        words = f"{sql[:_SHOWN]!r}: {words}"
    if code == _DEADLOCK:
        return WarehouseBusyError(f"{location}: two sessions waited for each other, so this one was undone; run again ({words})")
    if _is_passing(error, code, words):
        return WarehouseUnavailableError(f"{location} cannot be reached or is overloaded, so this session was undone: {words}")
    if code in _TIMEOUTS:
        limit = f"{limits.statement_seconds:g} s, of a session that writes {limits.lease_seconds / 2:g} s"
        words = f"{words}; make it faster, or raise statement_timeout_seconds ({limit}: half of lease_seconds)"
    advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
    return WarehouseError(f"{location} refused a statement: {words}{advice}")


def explain_refusal(error: Any, words: str, location: str) -> WarehouseError:
    """Turn a connection that was not made into an error of ours; ``words`` hold no secret any more."""
    code = getattr(error, "code", None)
    if code not in _REFUSALS and (code is None or _is_passing(error, code, words)):
        return WarehouseUnavailableError(f"{location} cannot be reached: {words}")
    advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
    return WarehouseError(f"{location} refused the connection: {words}{advice}")


def _find_words(error: Any) -> str:
    words = str(error).strip()
    found = _SAID.fullmatch(words)
    return found[1].strip() if found else words


def _is_passing(error: Any, code: int | None, words: str) -> bool:
    if code is None:  # of the network, or of what stands before the server
        return type(error).__name__ == "OperationalError" or _GATEWAY.search(words) is not None
    return code in _PASSING or (code == _MEMORY and "(total)" in words)
