"""A real Prefect server, and other commands of Prefect, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from tempfile import TemporaryDirectory

import httpx
import psutil

from tests.services.postgres_server import SUPERUSER, SUPERUSER_PASSWORD, serve_postgres
from tests.services.service import find_free_port, wait_for_health


@contextmanager
def start(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Prefect; it and what it started are ended by their ids."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *command], env=environment, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process and what it started to end; one that takes too long, as a server may for its open connections, is killed."""
    family = find_family(process)
    send(SIGTERM, reversed(family))
    send(SIGKILL, psutil.wait_procs(family[:-1], timeout=20)[1])
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    process.kill()
    process.wait()


def find_family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return what a process started, and it itself as the last, unless it has ended."""
    if process.poll() is not None:
        return []
    parent = psutil.Process(process.pid)
    return [*parent.children(recursive=True), parent]


def send(signal: Signals, members: Iterable[psutil.Process]) -> None:
    """Send a signal to processes, of which some may end because others do."""
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal)


def is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=60).is_success
    except httpx.TransportError:
        return False


@contextmanager
def serve_prefect(folder: Path, **settings: str) -> Iterator[dict[str, str]]:
    """Start a server that keeps its data in a folder, with further settings; yield the environment that uses it."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/api"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "ANOMFLOW_"))}
    environment = {
        **inherited,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        **settings,
    }
    with start(["server", "start", "--host", "127.0.0.1", "--port", str(port)], environment, folder / "server.log") as server:
        wait_for_health(server, folder / "server.log", lambda: is_healthy(url))
        yield environment


@contextmanager
def serve_prefect_on_postgres(folder: Path, **settings: str) -> Iterator[dict[str, str]]:
    """Start a server that keeps its promises: on SQLite it gives up an event, and all that follows it, while the file is locked."""
    with TemporaryDirectory(prefix="anomflow-postgres-") as data, serve_postgres(Path(data)) as port:
        url = f"postgresql+asyncpg://{SUPERUSER}:{SUPERUSER_PASSWORD}@127.0.0.1:{port}/postgres"
        with serve_prefect(folder, PREFECT_SERVER_DATABASE_CONNECTION_URL=url, **settings) as environment:
            yield environment
