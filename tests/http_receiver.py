"""A server on this machine that answers as the channels' services do, keeps what it receives, and fails as it is told."""

from __future__ import annotations

import contextlib
import email
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.policy import default
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from slack_receiver import Reply, serve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


@dataclass(frozen=True)
class Posted:
    """One request as the server got it; names of headers are lower-case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """The parts of a request of the type multipart/form-data, by name."""
        header = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = email.message_from_bytes(header + self.body, policy=default).iter_parts()
        return {str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True) for part in parts}

    @property
    def text(self) -> str:
        return self.files.get("payload_json", self.body).decode()

    @property
    def content(self) -> Any:
        return json.loads(self.text)


@dataclass
class HttpReceiver:
    """``replies`` are given one request after another, then ``good``; ``largest`` is the longest body that it takes."""

    good: Reply
    replies: list[Reply] = field(default_factory=list)
    largest: int = 50_000_000
    tried: list[Posted] = field(default_factory=list)
    accepted: list[Posted] = field(default_factory=list)
    port: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, posted: Posted) -> Reply:
        self.tried.append(posted)
        if self.replies:
            return self.replies.pop(0)
        if len(posted.body) > self.largest:
            return Reply(413, "too large")
        self.accepted.append(posted)
        return self.good


class _Handler(BaseHTTPRequestHandler):
    receiver: HttpReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        reply = self.receiver.answer(Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        if reply.pause:
            self.receiver.release.wait(60)
            return
        content = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        """Serve a connection; one that the client leaves is none of the server's business."""
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@contextmanager
def run_http(good: Reply, context: ssl.SSLContext | None = None) -> Iterator[HttpReceiver]:
    """Run the server, encrypted where a context is given."""
    receiver = HttpReceiver(good)
    with serve(type("Handler", (_Handler,), {"receiver": receiver}), context, receiver.release) as receiver.port:
        yield receiver
