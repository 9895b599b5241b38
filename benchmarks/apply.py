"""Compare `anomflow apply` with `prefect deploy --all` on a local server: python benchmarks/apply.py [DEPLOYMENTS]."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
JOBS = 6


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    port = find_port()
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "ANOMFLOW_"))}
    environ = own | {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=60) as client:
                client.get(f"http://127.0.0.1:{port}/api/health").raise_for_status()
            yield environ
        finally:
            server.terminate()


def write_project(folder: Path, batches: int) -> None:
    for name in ("anomflow", "blocks", "cli", "flows", "tasks"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "deploy.yaml").write_text("project: bench\nmanual_jobs: []\npools: {local: {type: process}}\n")
    for number in range(batches):
        path = folder / "metrics" / f"b{number:04}" / f"b{number:04}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(f"metric_batch: b{number:04}\ningest_sql: select 1\n")


def run(folder: Path, environ: dict[str, str], *command: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *command], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return time.perf_counter() - start, done.stdout


def measure(count: int, parent: Path) -> None:
    folder = parent / "project"
    folder.mkdir()
    write_project(folder, count // JOBS)
    run(folder, os.environ | {"PYTHONPATH": str(ROOT)}, "cli.main", "sync")
    seconds: dict[str, float] = {}
    with serve(parent / "ours") as environ:
        seconds["apply, all new"], text = run(folder, environ, "cli.main", "--json", "apply", "--yes")
        seconds["apply, nothing to do"], _ = run(folder, environ, "cli.main", "apply", "--yes")
        print(f"{count // JOBS * JOBS} deployments, {json.loads(text)['requests']} API requests by apply")
    with serve(parent / "theirs") as environ:
        run(folder, environ, "prefect", "work-pool", "create", "local", "--type", "process")
        seconds["prefect deploy --all, all new"], _ = run(folder, environ, "prefect", "--no-prompt", "deploy", "--all")
    for name, value in seconds.items():
        print(f"{name:32} {value:7.1f} s")
    print(f"ratio {seconds['prefect deploy --all, all new'] / seconds['apply, all new']:.1f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 204, Path(place))
