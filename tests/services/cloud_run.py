"""What stands for Google Cloud: a proxy that answers for Cloud Run itself, a place that gives tokens, jobs that start nothing."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mail_receiver import write_certificate

HOST = "run.googleapis.com"  # Prefect's worker knows no other
TIME = "2026-01-01T00:00:00Z"
SUCCEEDED = "CONDITION_SUCCEEDED"


@dataclass
class Cloud:
    """The jobs that were made and the executions that were started, by their names; they run until they are ended."""

    port: int = 0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)

    def create(self, parent: str, query: str, body: dict[str, Any]) -> dict[str, Any]:
        name = f"{parent}/{parse_qs(query)['jobId'][0]}"
        ready = {"type": "Ready", "state": SUCCEEDED}
        times = {"createTime": TIME, "updateTime": TIME}
        self.jobs[name] = {
            **body,
            **times,
            "name": name,
            "uid": "job",
            "generation": "1",
            "etag": "1",
            "terminalCondition": ready,
            "latestCreatedExecution": {},
        }
        return {"name": "creation", "done": True}

    def run(self, job: str) -> dict[str, Any]:
        name = f"{job}/executions/first"
        numbers = {"parallelism": 1, "taskCount": 1}
        self.executions[name] = {
            "name": name,
            "uid": "execution",
            "generation": "1",
            "etag": "1",
            "createTime": TIME,
            "job": job,
            "template": {},
            "logUri": "https://example.com/log",
            **numbers,
        }
        return {"name": "run", "done": False, "metadata": {"@type": "type.googleapis.com/Execution", "name": name}}

    def end(self) -> None:
        """Let all executions end well."""
        for execution in self.executions.values():
            execution |= {"completionTime": TIME, "succeededCount": 1, "conditions": [{"type": "Completed", "state": SUCCEEDED}]}

    def find(self, name: str) -> dict[str, Any] | None:
        if name.endswith("/executions"):
            return {"executions": [one for key, one in self.executions.items() if key.startswith(name)]}
        return self.jobs.get(name) or self.executions.get(name)

    def delete(self, name: str) -> dict[str, Any] | None:
        found = self.jobs.pop(name, None) or self.executions.pop(name, None)
        self.deleted += [name] if found else []
        return found and {"name": "deletion", "done": True}

    def build_account(self) -> str:
        """Return the key file of a service account, whose tokens are given here."""
        key = rsa.generate_private_key(65537, 2048)
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        address = {"client_email": "anomflow@local.iam.gserviceaccount.com", "token_uri": f"http://127.0.0.1:{self.port}/token"}
        return json.dumps({"type": "service_account", "project_id": "local", "private_key_id": "1", "private_key": text, **address})


@contextmanager
def serve_cloud(folder: Path) -> Iterator[tuple[Cloud, dict[str, str]]]:
    """Serve until the context ends; yield the environment of whoever is to believe that it speaks with Google."""
    cloud, certificate = Cloud(), write_certificate(folder / "google.pem", HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(_Handler):
        google, tls = cloud, context

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cloud.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{cloud.port}", "NO_PROXY": "127.0.0.1,localhost"}
        yield cloud, {**proxy, "HTTPLIB2_CA_CERTS": str(certificate)}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    google: Cloud
    tls: ssl.SSLContext
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the server knows only the socket that TLS took the place of

    def do_CONNECT(self) -> None:
        """Answer in the place of the host that is asked for; requests follow on the same connection."""
        is_known = self.path == f"{HOST}:443"
        self.send_response(200 if is_known else 502)
        self.end_headers()
        if is_known:
            self.request = self.tls.wrap_socket(self.connection, server_side=True)
            self.setup()
        self.close_connection = not is_known

    def do_POST(self) -> None:
        asked = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = asked.path.removeprefix("/v2/")
        if name == "/token":
            self.answer({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})
        elif name.endswith(":run"):
            self.answer(self.google.run(name.removesuffix(":run")))
        else:
            self.answer(self.google.create(name, asked.query, json.loads(body)))

    def do_GET(self) -> None:
        self.answer(self.google.find(urlsplit(self.path).path.removeprefix("/v2/")))

    def do_DELETE(self) -> None:
        self.answer(self.google.delete(urlsplit(self.path).path.removeprefix("/v2/")))

    def answer(self, found: dict[str, Any] | None) -> None:
        content = json.dumps(found or {"error": {"code": 404, "status": "NOT_FOUND"}}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
