"""An example of the checkout in an installation of its own, and a web source on loopback that answers as it is told."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from anomflow.batches import load_batch
from flows.ingest import ingest_stage
from flows.jobrun import Request, Run
from flows.outcomes import Outcome
from tests.world import Clock, World

METRICS = Path(__file__).parents[2] / "metrics"
Row = tuple[datetime, str, float | None]
Ingest = Callable[..., Outcome]


@dataclass(frozen=True)
class Asked:
    """A request that the source got."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class Source:
    """A web source: `answers` by path, each a list of (status, body, headers), of which the last one stays."""

    url: str = ""
    answers: dict[str, list[tuple[int, str, dict[str, str]]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, path: str, body: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Add an answer: JSON of a value, or a text as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.answers.setdefault(path, []).append((status, text, headers or {}))

    def take(self, path: str) -> tuple[int, str, dict[str, str]]:
        answers = self.answers.get(path) or [(404, json.dumps({"message": f"no {path} here"}), {})]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def build_handler(source: Source) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            source.asked.append(Asked(url.path, dict(parse_qsl(url.query)), dict(self.headers), body))
            status, text, headers = source.take(url.path)
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    server = ThreadingHTTPServer(("127.0.0.1", 0), build_handler(made))
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return an installation without batches, in which it is now."""
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return World(tmp_path, Clock(datetime.now(UTC)))


@pytest.fixture
def ingest(home: World) -> Ingest:
    """Return what switches an example on for one run and ingests it, with the given arguments of its function."""

    def run(batch: str, **arguments: object) -> Outcome:
        settings = {"disable_batch": "false", "delete_after_n_days": "36500", "ingest_fn_args": json.dumps(arguments)}
        loaded = load_batch(METRICS, batch, os.environ, settings)
        return ingest_stage(Run(loaded, Request(batch, metrics=str(METRICS)), home.clock))

    return run


@pytest.fixture
def rows(home: World) -> Callable[[], list[Row]]:
    """Return what reads the rows that were ingested, in the order of their times and names."""
    query = "select metric_timestamp, metric_name, metric_value from metrics order by all"
    return lambda: home.sql(query).rows()
