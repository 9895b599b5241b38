"""What the errors of Snowflake's connector mean, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError

if TYPE_CHECKING:
    from blocks.warehouses.server import Limits

MISSING: Final = frozenset({2003, 2043})  # an object is not there, or not for this role
LOCK_TIMEOUT: Final = 625  # a lock was waited for too long, or too many statements wait for it
_STATEMENT_TIMEOUTS: Final = frozenset({604, 630})  # the client, the server ended it
# A session that is over, a token that ran out, the connection gone.
_LOST: Final = frozenset({390104, 390111, 390112, 390114, 250002, 250003, 250005, 251007, 251008, 251009})
_CONFLICTS: Final = ("40001", "40P01")  # of transactions, a deadlock
# What the connector raises for a network or a service that is not there now; these classes have no other base in common.
_PASSING: Final = frozenset(
    {
        "OperationalError",
        "InternalServerError",
        "ServiceUnavailableError",
        "GatewayTimeoutError",
        "BadGatewayError",
        "RequestTimeoutError",
        "TooManyRequests",
        "OtherHTTPRetryableError",
        "RequestExceedMaxRetryError",
        "ConnectionError",
        "ConnectTimeout",
        "ReadTimeout",
    }
)
_ADVICE: Final = {
    606: "name a virtual warehouse that the role may use (the field `warehouse`)",
    90105: "name a database that exists and that the role may use (the field `database`)",
    90106: "name a schema that exists and that the role may use (the field `schema_name`)",
    3001: "grant it to the role, or name another role (the field `role`)",
}


def find_code(error: BaseException) -> int:
    """Return Snowflake's number of an error, -1 where it has none."""
    code = getattr(error, "errno", None)
    return code if isinstance(code, int) else -1


def explain_failure(error: Any, location: str, limits: Limits) -> WarehouseError:
    """Turn a failed statement into an error of ours; only the transient ones are tried again."""
    code, words = find_code(error), str(error).strip()
    if code == LOCK_TIMEOUT or getattr(error, "sqlstate", None) in _CONFLICTS:
        return WarehouseBusyError(limits.describe_wait(location, words))
    if code in _STATEMENT_TIMEOUTS:
        advice = f"it took longer than {limits.statement_seconds:g} s; make it faster, raise statement_timeout_seconds or take a larger"
        return WarehouseError(f"{location} refused a statement: {advice} warehouse ({words})")
    if code in _LOST or _is_passing(error):
        return WarehouseUnavailableError(f"{location}: the connection was lost, so this session was undone ({words})")
    advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
    return WarehouseError(f"{location} refused a statement: {words}{advice}")


def explain_refusal(error: Any, words: str, location: str) -> WarehouseError:
    """Turn a connection that was not made into an error of ours; ``words`` hold no secret any more."""
    if _is_passing(error):
        return WarehouseUnavailableError(f"{location} cannot be reached: {words}")
    return WarehouseError(f"{location} refused the connection: {words}")


def _is_passing(error: Any) -> bool:
    # Of a certificate that is wrong no second try makes a right one.
    return type(error).__name__ in _PASSING
