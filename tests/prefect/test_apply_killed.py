"""An `apply` that is killed in the middle, or refused from there on: nothing is removed, and the next one goes on to the same end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect_project import DEPLOY, SHOP, call, open_project, write_batch
from typer.testing import CliRunner

from cli.main import build_app

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[2]
PLACED = DEPLOY.replace("process", "process, directory: /opt/app")


@dataclass
class Moment:
    """The n-th request that a pattern finds, at which a client waits for its end; ``is_heard``: the server got the request.

    With a ``code`` the client gets this answer instead, from then on ``always`` or once.
    """

    request: str
    count: int
    is_heard: bool = False
    code: int | None = None
    always: bool = True
    reached: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def is_now(self, request: str) -> bool:
        """Count a request, and tell whether it is the one."""
        is_one = re.match(self.request, request) is not None
        self.count -= is_one
        is_first = self.count == 0 and is_one
        return is_first or (self.count <= 0 and self.code is not None and self.always)

    def hold(self) -> None:
        self.reached.set()
        self.over.wait(150)


class Between(BaseHTTPRequestHandler):
    """Hand requests to a server, up to a moment."""

    protocol_version = "HTTP/1.1"
    moment: Moment
    client: httpx.Client

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.removeprefix("/api")
        is_last = self.moment.is_now(f"{self.command} {path} ")
        if not is_last or self.moment.is_heard:
            answer = self.client.request(self.command, path, content=body, headers={"Content-Type": "application/json"})
        if not is_last:
            self.answer(answer.status_code, answer.content)
        elif self.moment.code is not None:
            self.answer(self.moment.code, b'{"detail": "hush"}')
        else:
            self.moment.hold()
            self.close_connection = True

    def answer(self, code: int, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_POST  # noqa: N815 - named as http.server wants it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def stand_between(moment: Moment) -> Iterator[str]:
    """Yield the address of an API that goes silent at a moment."""
    with httpx.Client(base_url=str(PREFECT_API_URL.value()), timeout=150) as client:
        handler = type("Handler", (Between,), {"moment": moment, "client": client})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}/api"
            finally:
                moment.over.set()
                server.shutdown()
                thread.join(150)


def apply_and_kill(moment: Moment) -> None:
    with stand_between(moment) as url, Path("apply.log").open("wb") as log:
        environment = os.environ | {"PREFECT_API_URL": url, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "cli.main", "apply", "--yes"]
        with subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process:
            reached = moment.reached.wait(150)
            process.kill()
        assert reached, Path("apply.log").read_text()


def build_before() -> None:
    """Bring two batches to the server, and somebody's deployment that looks much like ours."""
    Path("deploy.yaml").write_text(PLACED)
    call("apply", "--yes")
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("score")
        client.create_deployment(flow, "other", tags=["anomflow", "project:other"], enforce_parameter_schema=False)


def change_files() -> None:
    """Change a batch, bring one, and drop one."""
    write_batch("shop", SHOP + "ingest_cron_schedule: 7 * * * *\ndeploy: {tags: [late]}\n")
    write_batch("new", SHOP.replace("shop", "new"))
    Path("metrics/web/web.yaml").unlink()
    Path("deploy.yaml").write_text(PLACED + "tags: [night]\n")


def read_all() -> dict[str, Any]:
    """Return what is on the server, by name, without what differs from one making to the next: ids and times."""
    with get_client(sync_client=True) as client:
        deployments: Any = client.request("POST", "/deployments/filter", json={}).json()  # type: ignore[arg-type]
        automations: Any = client.request("POST", "/automations/filter", json={}).json()  # type: ignore[arg-type]
        pools: Any = client.request("POST", "/work_pools/filter", json={}).json()  # type: ignore[arg-type]
    names = {item["id"]: f"{item['entrypoint']} {item['name']}" for item in deployments}
    return {
        "deployments": {names[item["id"]]: strip(item, names) for item in deployments},
        "automations": sorted((strip(item, names) for item in automations), key=lambda item: str(item["name"])),
        "pools": [item["name"] for item in pools],
    }


def strip(value: Any, names: dict[str, str]) -> Any:
    """Replace the ids of deployments by their names, and leave out what is another one each time."""
    passing = ("id", "created", "updated", "status", "last_polled", "work_queue_id", "global_concurrency_limit", "deployment_id")
    if isinstance(value, dict):
        kept = {key: strip(inner, names) for key, inner in value.items() if key not in passing}
        return kept | ({"of": names.get(value["deployment_id"])} if "deployment_id" in value else {})
    return [strip(inner, names) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def expected(api: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed apply comes to."""
    with open_project(tmp_path_factory.mktemp("undisturbed")):
        build_before()
        change_files()
        call("apply", "--yes")
        return read_all()


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        pytest.param(Moment("POST /deployments/ ", 4, is_heard=False), 2, id="before-a-deployment"),
        pytest.param(Moment("POST /deployments/[^/]+/schedules ", 2), 2, id="between-a-deployment-and-its-schedule"),
        pytest.param(Moment("POST /automations/ ", 1, is_heard=True), 2, id="before-the-answer-of-a-new-automation"),
        pytest.param(Moment("DELETE /deployments/", 1, is_heard=True), 1, id="between-removals"),
    ],
)
def test_an_apply_that_is_killed_is_finished_by_the_next(project, expected, moment, left):
    build_before()
    with get_client(sync_client=True) as client:
        foreign = client.read_deployment_by_name("score/other")
        change_files()
        apply_and_kill(moment)
        # Nothing is removed before all else is done.
        assert sum(item.name == "web" for item in client.read_deployments()) == left
        call("apply", "--yes")
        assert read_all() == expected
        assert client.read_deployment_by_name("score/other") == foreign
    assert call("plan", "--check")["steps"] == []


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        pytest.param(Moment("POST /deployments/ ", 2, code=401), "answers 401: the API key is wrong or expired", id="key-expires"),
        pytest.param(Moment("POST /deployments/ ", 2, code=500), "answers 500", id="server-breaks"),
        pytest.param(Moment("POST /deployments/ ", 2, code=429), "answers 429: the server still takes no more requests", id="too-many"),
        pytest.param(Moment("POST /deployments/[^/]+/schedules ", 1, code=422, always=False), "422: ", id="a-schedule-is-refused"),
        pytest.param(Moment("POST /automations/ ", 1, code=422, always=False), "422: ", id="one-is-refused"),
    ],
)
def test_an_apply_that_is_refused_in_the_middle_removes_nothing(project, expected, moment, told):
    build_before()
    change_files()
    with stand_between(moment) as url, temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 2}):
        done = CliRunner().invoke(build_app(), ["apply", "--yes"])
    assert done.exit_code == 1
    assert told in " ".join(done.stderr.split())
    assert len(done.stderr.splitlines()) <= 3
    with get_client(sync_client=True) as client:
        assert sum(item.name == "web" for item in client.read_deployments()) == 2
    call("apply", "--yes")
    assert read_all() == expected
