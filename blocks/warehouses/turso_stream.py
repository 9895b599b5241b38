"""A stream of Hrana 3, the protocol of libSQL's servers, over HTTP: statements of one connection of the server.

Its specification: HRANA_3_SPEC.md of tursodatabase/libsql. The client `libsql` (0.1.11) is not used: it waits for an answer
without any limit and holds up every thread of the process meanwhile, and it binds integers as floating-point numbers.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from blocks.warehouses.secrets import redact
from blocks.warehouses.turso_errors import HranaError, StreamLimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PIPELINE: Final = "/v3/pipeline"
_CURSOR: Final = "/v3/cursor"
_CHUNK_ROWS: Final = 20_000
_SAID_LENGTH: Final = 1000  # of what a server, or a proxy before it, says


class HranaStream:
    """Statements of one connection: a baton that the server hands out names it, and stands for its state."""

    def __init__(self, url: str, token: str, limits: StreamLimits) -> None:
        timeout = httpx.Timeout(limits.statement_seconds, connect=limits.connect_seconds)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url
        self._token = token
        self._client = httpx.Client(headers=headers, timeout=timeout, verify=_build_context())
        self._baton: str | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the server holds a connection for us."""
        return self._baton is not None

    def execute(self, sql: str, arguments: Sequence[Any] = ()) -> dict[str, Any]:
        """Run one statement and return its result."""
        result: dict[str, Any] = self._ask([_build_request(sql, arguments)])["result"]
        return result

    def is_readonly(self, sql: str) -> bool:
        """Ask the server whether a statement changes nothing, without running it."""
        return bool(self._ask([{"type": "describe", "sql": sql}])["result"]["is_readonly"])

    def end(self, sql: str) -> None:
        """Run a last statement and give the connection back."""
        self._ask([_build_request(sql), {"type": "close"}])

    def stream(self, sql: str) -> Iterator[list[Any]]:
        """Run one query; yield its columns first, then chunks of its rows."""
        body = {"baton": self._baton, "batch": {"steps": [{"stmt": {"sql": sql}}]}}
        with self._send(_CURSOR, body) as answer:
            lines = _split_lines(answer)
            self._take(json.loads(next(lines, b"{}")))
            while chunk := list(islice(lines, _CHUNK_ROWS)):
                # Together, since a call for each line takes longer than its work.
                entries = json.loads(b"[" + b",".join(chunk) + b"]")
                yield from (entry["cols"] for entry in entries if entry["type"] == "step_begin")
                for entry in entries:
                    if "error" in entry:
                        raise _read_error(entry["error"])
                yield [entry["row"] for entry in entries if entry["type"] == "row"]

    def close(self) -> None:
        """Let go of the server's connection, whose transaction is undone, and of ours."""
        try:
            if self.is_open:
                with contextlib.suppress(httpx.HTTPError, HranaError):
                    self._ask([{"type": "close"}])
        finally:
            self._client.close()

    def _ask(self, requests: Sequence[Any]) -> dict[str, Any]:
        with self._send(_PIPELINE, {"baton": self._baton, "requests": requests}) as answer:
            answer.read()
            said = _read_answer(answer)
        self._take(said)
        first = said["results"][0]
        if first["type"] == "error":
            raise _read_error(first["error"])
        response: dict[str, Any] = first["response"]
        return response

    @contextlib.contextmanager
    def _send(self, path: str, body: dict[str, Any]) -> Iterator[httpx.Response]:
        self._baton = None  # it serves once; without an answer there is no next
        with self._client.stream("POST", self._url + path, json=body) as answer:
            if answer.is_success:
                yield answer
                return
            answer.read()
            raise _read_refusal(answer, self._token)

    def _take(self, said: dict[str, Any]) -> None:
        self._baton = said.get("baton")
        moved = said.get("base_url")
        # The server names the machine that holds the connection; the token never goes over a lesser protocol.
        if moved and urlsplit(moved).scheme in ("https", urlsplit(self._url).scheme):
            self._url = moved.rstrip("/")


def _build_request(sql: str, arguments: Sequence[Any] = ()) -> dict[str, Any]:
    return {"type": "execute", "stmt": {"sql": sql, "args": arguments}}


def _read_error(said: dict[str, Any]) -> HranaError:
    return HranaError(said["message"], said.get("code") or "")


def _split_lines(answer: httpx.Response) -> Iterator[bytes]:
    rest = b""
    for part in answer.iter_bytes():
        *whole, rest = (rest + part).split(b"\n")
        yield from filter(None, whole)
    if rest:
        yield rest


def _read_answer(answer: httpx.Response) -> dict[str, Any]:
    try:
        said: dict[str, Any] = answer.json()
    except ValueError as error:
        raise HranaError("it does not answer in JSON", status=httpx.codes.NOT_FOUND) from error
    return said


def _read_refusal(answer: httpx.Response, token: str) -> HranaError:
    words, code = answer.text, ""
    with contextlib.suppress(ValueError, AttributeError):
        said = answer.json()
        words, code = str(said.get("message") or said.get("error") or words), str(said.get("code") or "")
    return HranaError(redact(words, (token,))[:_SAID_LENGTH], code, answer.status_code)


@cache
def _build_context() -> ssl.SSLContext:
    # Once: to read the certificates takes longer than a statement.
    return httpx.create_ssl_context()
