"""What Redshift's errors mean, and what to do."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import WarehouseError, WarehouseUnavailableError
from blocks.warehouses.postgres_errors import Failure, explain_failure
from blocks.warehouses.sqlstates import find_error_class

if TYPE_CHECKING:
    from blocks.warehouses.server import Limits

MISSING_TABLE: Final = "42P01"
_TOO_LONG: Final = "22001"
_CONFLICT: Final = "40001"
_SIGNS_OF_CONFLICT: Final = ("serializable isolation violation", "could not serialize")
# What the driver itself raises, without an answer of the server, when the connection is gone.
_LOST: Final = ("InterfaceError", "OperationalError")
# What AWS's client raises where its service does not answer now.
_PASSING: Final = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionClosedError",
        "ProxyConnectionError",
        "HTTPClientError",
    }
)


def find_state(error: WarehouseError) -> str | None:
    """Return the SQLSTATE that an error of ours was made of, None where the server gave none."""
    return _read_answer(error.__cause__).get("C") if error.__cause__ else None


def read_failure(error: BaseException, seconds: float) -> Failure:
    """Take from the driver's error what the server said."""
    answer = _read_answer(error)
    words = ": ".join(part for part in (answer.get("M"), answer.get("D")) if part) or str(error) or type(error).__name__
    is_conflict = any(sign in words.casefold() for sign in _SIGNS_OF_CONFLICT)
    is_lost = not answer and (isinstance(error, OSError) or type(error).__name__ in _LOST)
    return Failure(words, _CONFLICT if is_conflict else answer.get("C"), seconds, is_lost)


def explain(failure: Failure, location: str, limits: Limits) -> WarehouseError:
    """Turn a failed statement into an error of ours."""
    if failure.state == _TOO_LONG:
        advice = "make the column longer: alter table ... alter column ... type varchar(65535), outside a transaction"
        failure = replace(failure, words=f"{failure.words}; {advice}")
    return explain_failure(failure, location, limits)


def explain_refusal(error: BaseException, words: str, location: str) -> WarehouseError:
    """Turn a connection that was not made into an error of ours; ``words`` hold no secret any more."""
    answer = _read_answer(error)
    if answer:
        return find_error_class(answer.get("C"))(f"{location} refused the connection: {words}")
    if any(isinstance(part, ssl.SSLCertVerificationError) for part in (error, *error.args)) or "refuses SSL" in words:
        return WarehouseError(f"{location} refused the connection: its certificate or encryption is not as sslmode asks for ({words})")
    if type(error).__name__ in {*_LOST, *_PASSING} or isinstance(error, OSError):
        return WarehouseUnavailableError(f"{location} cannot be reached: {words}")
    return WarehouseError(f"{location} refused the connection: {words}")


def find_words(error: BaseException) -> str:
    """Return what a refused connection was told, without the other fields of the answer."""
    answer = _read_answer(error)
    return str(answer.get("M", error)) if answer else f"{type(error).__name__}: {error}"


def _read_answer(error: BaseException) -> dict[str, Any]:
    """Return the fields of the server's answer by their letters: C the SQLSTATE, M the message, D the detail."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, dict) else {}
