"""What BigQuery's errors mean, and what to do."""

from __future__ import annotations

from typing import Final

from anomflow.errors import WarehouseBusyError, WarehouseError, WarehouseUnavailableError

_UNAVAILABLE_REASONS: Final = frozenset(
    {"backendError", "internalError", "jobBackendError", "jobInternalError", "badGateway", "tableUnavailable"}
    | {"rateLimitExceeded", "jobRateLimitExceeded"}
)
_UNAVAILABLE_CODES: Final = frozenset({429, 500, 502, 503, 504})
# Of two transactions that change rows of one table, one is ended.
_CONFLICTS: Final = ("aborted due to concurrent update", "could not serialize access", "too many dml statements outstanding")
_BILLED: Final = "bytesBilledLimitExceeded"
_STOPPED: Final = ("stopped", "timeout")


def is_conflict(words: str) -> bool:
    """Tell whether an error says that another session changed what this one changes."""
    return any(conflict in words.casefold() for conflict in _CONFLICTS)


def explain_failure(error: Exception, location: str) -> WarehouseError:
    """Turn an error of the API, of a job or of the connection into one of ours; only the transient ones are tried again.

    Reasons: https://cloud.google.com/bigquery/docs/error-messages.
    """
    reason, words = _read_error(error)
    if is_conflict(words):
        return WarehouseBusyError(f"{location}: another session wrote the same tables, so this one was undone; run again ({words})")
    if reason in _UNAVAILABLE_REASONS or getattr(error, "code", None) in _UNAVAILABLE_CODES or _is_lost(error):
        return WarehouseUnavailableError(f"{location} cannot be reached or is overloaded: {words}")
    if reason == _BILLED:
        words = f"{words}; narrow the query down, or raise maximum_bytes_billed"
    if reason in _STOPPED:
        words = f"{words}; make it faster or raise statement_timeout_seconds"
    return WarehouseError(f"{location} refused a statement: {words}")


def explain_login(error: Exception, location: str) -> WarehouseError:
    """Turn an error of the login into one of ours; it quotes no key."""
    if getattr(error, "retryable", False):
        return WarehouseUnavailableError(f"{location}: the login is not reachable now: {error}")
    advice = "run `gcloud auth application-default login`, or give service_account_info or gcp_credentials"
    return WarehouseError(f"{location}: no login with Google ({type(error).__name__}); {advice}")


def _is_lost(error: Exception) -> bool:
    """Tell whether the connection, and not the service, failed: by the base classes of requests, urllib3 and google-auth."""
    return isinstance(error, OSError) or type(error).__name__ in {"TransportError", "RetryError"}


def _read_error(error: Exception) -> tuple[str, str]:
    listed = getattr(error, "errors", None) or [{}]
    first = listed[0] if isinstance(listed[0], dict) else {}
    words = first.get("message") or getattr(error, "message", None) or str(error)
    return str(first.get("reason", "")), " ".join(str(words).split())
