"""Ask web sources for JSON from an ``ingest`` function: time limits, repeated attempts, errors that say what happened.

No error shows a query string, a header or the user part of an address, since that is where keys stand.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import httpx

from anomflow.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

WAITS: Final = (0.5, 1.0, 2.0)  # seconds before each further attempt, unless the source asks for more
LONGEST_WAIT: Final = 30.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_TIMEOUT: Final = httpx.Timeout(20.0, connect=5.0)
_QUOTED: Final = 160  # characters of an answer that an error shows


def fetch_json(url: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, body: Any = None) -> Any:
    """Get a URL, or post ``body`` to it as JSON, and return the JSON of the answer.

    A connection that fails and the answers 429, 500, 502, 503 and 504 are tried again up to three times, after half a
    second, one and two, or as long as ``Retry-After`` asks for, up to 30 seconds. A redirection is followed, but not with
    headers, which may hold a key that is not for the other address. Raises SourceError.
    """
    names = {"User-Agent": "anomflow", "Accept": "application/json", **(headers or {})}
    method = "GET" if body is None else "POST"
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=not headers, headers=names) as client:
        try:
            request = client.build_request(method, url, params=dict(params or {}) or None, json=body)
        except (httpx.InvalidURL, ValueError) as error:
            raise SourceError(f"{url!r} is not an address that can be asked: {error}") from None
        return _read_json(request, _ask(client, request))


def _ask(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    """Send a request until it is answered or the attempts are used up."""
    for wait in (*WAITS, None):
        try:
            response = client.send(request)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
            raise SourceError(f"{_place(request)}: {error}") from None
        except httpx.TransportError as error:
            response = None
            reason = f"{type(error).__name__}: {error}"
        if response is not None and response.status_code not in _AGAIN:
            return response
        if wait is None:
            break
        time.sleep(wait if response is None else max(wait, _retry_after(response)))
    if response is None:
        raise SourceError(f"{_place(request)} could not be reached in {len(WAITS) + 1} attempts: {reason}")
    raise SourceError(f"{_place(request)} answered {_status(response)} {len(WAITS) + 1} times{_quote(response)}")


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds that a source asks to wait for, bounded; 0 where it asks for nothing that can be read."""
    text = response.headers.get("Retry-After", "")
    try:
        seconds = float(text) if text.strip().isdigit() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _read_json(request: httpx.Request, response: httpx.Response) -> Any:
    if not response.is_success:
        raise SourceError(f"{_place(request)} answered {_status(response)}{_quote(response)}")
    try:
        return response.json()
    except ValueError:
        raise SourceError(f"{_place(request)} answered something that is not JSON{_quote(response)}") from None


def _place(request: httpx.Request) -> str:
    return str(request.url.copy_with(username=None, password=None, query=None, fragment=None))


def _status(response: httpx.Response) -> str:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    if response.next_request is None:
        return status
    return f"{status} ({_place(response.next_request)}; a redirection is not followed with headers)"


def _quote(response: httpx.Response) -> str:
    text = " ".join(response.text.split())
    return f": {text[:_QUOTED]!r}" if text else ""


def read_variable(name: str, meaning: str) -> str:
    """Return an environment variable that a source needs, such as a key; raise SourceError where it is not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise SourceError(f"the environment variable {name} is not set; it is {meaning}. Set it where the run starts, never in a file here")
    return value
