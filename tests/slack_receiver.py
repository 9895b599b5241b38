"""A server on this machine that answers as Slack does, keeps what it receives, and fails as it is told."""

from __future__ import annotations

import contextlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from anomflow.slack_text import find_texts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

TOKEN, CHANNEL_ID = "xoxb-s3cret-Pa55", "C0123456789"
HOOK_PATH = "/services/T0001/B0001/h00kKey-0123"
LARGEST_FILE = 5_000_000


@dataclass(frozen=True)
class Reply:
    """One answer: a status, a body (JSON or text), headers; ``pause`` withholds it until the server ends."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pause: bool = False


@dataclass
class SlackReceiver:
    """What the server has received. ``replies`` by method are given instead of what Slack would say, one after another."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    threads: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    largest_file: int = LARGEST_FILE
    port: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{HOOK_PATH}"

    @property
    def texts(self) -> list[str]:
        """All texts of the messages, as they were sent."""
        return [text for message in self.messages for text in find_texts([message])]

    def answer(self, method: str, headers: dict[str, str], body: bytes) -> Reply:
        self.calls.append(method)
        self.tokens[method] = headers.get("authorization", "")
        waiting = self.replies.get(method, [])
        if waiting:
            return waiting.pop(0)
        if method == "webhook":
            return self._take_hook(body)
        if method == "upload":
            return Reply(body="OK")
        if self.tokens[method] != f"Bearer {TOKEN}":
            return Reply(body={"ok": False, "error": "invalid_auth"})
        return {
            "auth.test": lambda _: Reply(body={"ok": True, "user": "anomflow", "team": "Shop"}),
            "chat.postMessage": self._take_message,
            "files.getUploadURLExternal": self._give_url,
            "files.completeUploadExternal": self._share,
        }[method](body)

    def take_file(self, file_id: str, content: bytes) -> None:
        self.files[file_id] = content

    def _take_hook(self, body: bytes) -> Reply:
        self.messages.append(json.loads(body))
        return Reply(body="ok")

    def _take_message(self, body: bytes) -> Reply:
        message = json.loads(body)
        if message["channel"] not in (CHANNEL_ID, "#alerts"):
            return Reply(body={"ok": False, "error": "channel_not_found"})
        self.messages.append(message)
        return Reply(body={"ok": True, "channel": CHANNEL_ID, "ts": f"1700000000.{len(self.messages):06}"})

    def _give_url(self, body: bytes) -> Reply:
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if int(asked["length"]) > self.largest_file:
            return Reply(body={"ok": False, "error": "file_upload_size_restricted"})
        file_id = f"F{len(self.calls)}"
        return Reply(body={"ok": True, "upload_url": f"http://127.0.0.1:{self.port}/upload/{file_id}", "file_id": file_id})

    def _share(self, body: bytes) -> Reply:
        self.threads.append(json.loads(body))
        return Reply(body={"ok": True, "files": self.threads[-1]["files"]})


class _Handler(BaseHTTPRequestHandler):
    receiver: SlackReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        method = self._find_method()
        reply = self.receiver.answer(method, {name.lower(): value for name, value in self.headers.items()}, body)
        if method == "upload" and reply.status == 200:
            self.receiver.take_file(self.path.rpartition("/")[2], body)
        if reply.pause:
            self.receiver.release.wait(60)
            return
        content = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _find_method(self) -> str:
        if self.path == HOOK_PATH:
            return "webhook"
        return "upload" if self.path.startswith("/upload/") else self.path.removeprefix("/api/")

    def handle(self) -> None:
        """Serve a connection; one that the client leaves is none of the server's business."""
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None, release: threading.Event) -> Iterator[int]:
    """Run a server and yield its port, encrypted where a context is given; ``release`` ends what it withholds."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            release.set()
            server.shutdown()
            thread.join()


@contextmanager
def run_slack(context: ssl.SSLContext | None = None) -> Iterator[SlackReceiver]:
    """Run the server, encrypted where a context is given."""
    receiver = SlackReceiver()
    with serve(type("Handler", (_Handler,), {"receiver": receiver}), context, receiver.release) as receiver.port:
        yield receiver
