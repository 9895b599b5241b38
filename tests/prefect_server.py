"""A real Prefect server, and other commands of Prefect, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from mail_receiver import find_free_port


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
            family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
            for member in reversed(family):
                member.terminate()
            for member in psutil.wait_procs(family[:-1], timeout=20)[1]:
                member.kill()
            process.wait(30)


def wait_for_health(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    transport = httpx.HTTPTransport(retries=8)  # waits 0.5 s, 1 s, 2 s and so on for a port to open
    with httpx.Client(transport=transport, timeout=60) as client:
        assert client.get(f"{url}/health").is_success, (server.poll(), log.read_text())


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
        wait_for_health(url, server, folder / "server.log")
        yield environment
