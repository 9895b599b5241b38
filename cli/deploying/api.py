"""The API of the configured Prefect server: few connections at once, below a rate, errors in words that say what to do.

Prefect's own client knows the address, the key and what a server wants besides. It repeats what a server answers with 429,
502 or 503, when that says (Retry-After), else with pauses that grow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from anomflow.deployments.pace import Pace
from anomflow.errors import AnomflowError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

CONNECTIONS: Final = 8
PAGE: Final = 200
_HERE: Final = ("127.0.0.1", "localhost", "::1")
_BUSY_PAUSES: Final = (0.05, 0.1, 0.2, 0.4)
_STUCK_SECONDS: Final = 3.0
_HELP: Final = {
    401: "the API key is wrong or expired; make a new one and run: prefect cloud login (or set PREFECT_API_KEY)",
    403: "the API key may not do this; ask for a role that may deploy",
    429: "the server still takes no more requests; wait, or set a lower requests_per_minute in deploy.yaml",
}


class BusyTransport(httpx.AsyncHTTPTransport):
    """Repeat soon what a server on SQLite refuses while another of its tasks writes; Prefect's client waits two seconds for it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, again after each pause while the server is busy for a moment and does not say for how long."""
        start = time.monotonic()
        answer = await super().handle_async_request(request)
        for pause in _BUSY_PAUSES:
            is_busy = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" not in answer.headers
            if not is_busy or time.monotonic() - start > _STUCK_SECONDS:
                break
            await answer.aclose()
            await asyncio.sleep(pause)
            answer = await super().handle_async_request(request)
        return answer


class ApiError(AnomflowError):
    """Report one request that a server refused; others may go on."""


class ServerError(AnomflowError):
    """Report a server that cannot be used at all: not there, overloaded, or a key that it does not take."""


class Api:
    """A server's API; ``requests`` counts what was asked."""

    def __init__(self, client: PrefectClient, pace: Pace, url: str) -> None:
        self._client, self._pace, self._url = client, pace, url
        self._is_here = _is_here(url)
        # A server on this machine writes to SQLite as a rule, where writers at once wait for one another: twice as long for four.
        self._places = asyncio.Semaphore(1 if self._is_here else CONNECTIONS)
        self.requests = 0

    def is_cheap(self, requests: int) -> bool:
        """Tell whether this many requests cost less than what they spare the server: on this machine, where the rate has room."""
        return self._is_here and self._pace.has_room(requests, time.monotonic())

    async def ask(self, method: str, path: str, body: Any = None, *, absent_ok: bool = False) -> Any:
        """Send a request and return its answer; None for what is not there, where that is fine.

        Raises:
            ApiError: the server refused this request.
            ServerError: the server cannot be used.
        """
        async with self._places:
            await asyncio.sleep(self._pace.reserve(time.monotonic()))
            self.requests += 1
            try:
                answer = await self._client.request(cast("Any", method), cast("Any", path), json=body)
            except (PrefectHTTPStatusError, httpx.HTTPStatusError) as error:
                if absent_ok and error.response.status_code == httpx.codes.NOT_FOUND:
                    return None
                raise self._explain(error.response) from error
            except httpx.ReadTimeout as error:
                advice = "it is still at work or overloaded; run the same again, which goes on from there"
                raise ServerError(f"the Prefect server at {self._url} took too long to answer; {advice}") from error
            except httpx.HTTPError as error:
                raise ServerError(f"the Prefect server at {self._url} does not answer ({type(error).__name__}); start it") from error
        return answer.json() if answer.content else None

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[PrefectClient]:
        """Lend the connection to what asks by Prefect's own functions, with a handful of requests that are counted as one."""
        async with self._places:
            await asyncio.sleep(self._pace.reserve(time.monotonic()))
            self.requests += 1
            yield self._client

    async def read_all(self, path: str, body: dict[str, Any]) -> list[Any]:
        """Read all pages of a list."""
        found: list[Any] = []
        while True:
            page = await self.ask("POST", path, {**body, "limit": PAGE, "offset": len(found)})
            found += page
            if len(page) < PAGE:
                return found

    def _explain(self, answer: httpx.Response) -> AnomflowError:
        code = answer.status_code
        if code in _HELP or code >= httpx.codes.INTERNAL_SERVER_ERROR:
            advice = _HELP.get(code, "it is overloaded or broken; look at its log, and run the same again")
            return ServerError(f"the Prefect server at {self._url} answers {code}: {advice}")
        return ApiError(f"{code}: {_read_detail(answer)}")


def _read_detail(answer: httpx.Response) -> str:
    """Read what a server says is wrong, without the values that it was given, which may be secrets."""
    try:
        document = answer.json()
    except ValueError:
        return "no reason given"
    detail = document.get("exception_detail") or document.get("detail") if isinstance(document, dict) else None
    if isinstance(detail, list):
        return "; ".join(f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg')}" for item in detail if isinstance(item, dict))
    # What follows quotes the value.
    return str(detail).partition(" Failure reason")[0] if detail else "no reason given"


@asynccontextmanager
async def open_api(pace: Pace) -> AsyncIterator[Api]:
    """Open the configured server's API; raises ServerError where none is configured or none answers there."""
    url = PREFECT_API_URL.value()
    if not url:
        text = "no Prefect server is configured; run: prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api, or prefect cloud login"
        raise ServerError(text)
    shown = _strip(url)
    try:
        async with get_client(httpx_settings={"transport": BusyTransport(retries=3)} if _is_here(url) else None) as client:
            api = Api(client, pace, shown)
            if await api.ask("POST", "/flows/count", {}, absent_ok=True) is None:
                raise ServerError(f"there is no Prefect API at {shown}; PREFECT_API_URL ends with /api, or is that of a workspace")
            yield api
    except httpx.HTTPError as error:
        raise ServerError(f"the Prefect server at {shown} does not answer ({type(error).__name__}); start it") from error


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _HERE


def _strip(url: str) -> str:
    """Return an address without the name and password that it may hold."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
