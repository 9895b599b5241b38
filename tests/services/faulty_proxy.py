"""A server on this machine that stands before an object store: it answers by itself as it is told, and passes on the rest."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slack_receiver import serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Proxy:
    """``statuses`` are given one request after another; then requests go to ``target``."""

    target: str
    statuses: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.asked.append(f"{self.command} {self.path}")
        if self.proxy.statuses:
            self._answer(self.proxy.statuses.pop(0), {}, b"")
            return
        connection = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=120)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, {name: value for name, value in self.headers.items() if name != "Expect"})
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - names of http.server

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        kept = {name: value for name, value in headers.items() if name.lower() not in {"transfer-encoding", "connection", "content-length"}}
        self.send_response_only(status)
        for name, value in {**kept, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@contextmanager
def run_proxy(target: str) -> Iterator[Proxy]:
    """Run the server before another one."""
    proxy = Proxy(target)
    with serve(type("Handler", (_Handler,), {"proxy": proxy}), None, threading.Event()) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy


@contextmanager
def run_silent() -> Iterator[str]:
    """Listen, take connections, never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
