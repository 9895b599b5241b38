"""The automations that `anomflow apply` makes, as they fire on a real server: what is late, stuck, failed or gone is told."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from http_receiver import HttpReceiver, run_http
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed, Failed, Pending
from prefect_server import find_family, send, serve_prefect_on_postgres, start
from slack_receiver import Reply

from tests.services.deployed import PYTEST_MARKS, Project, build_project, wait_for

pytestmark = PYTEST_MARKS
DEPLOY = """\
project: shop
layout: pipeline
manual_jobs: []
watch: {failure_methods: [custom-webhook/ops], late_after: 10s, pending_after: 10s, heartbeat_timeout: 90s}
pools: {mortal: {type: process}, steady: {type: process}, idle: {type: process}}
work_pool: idle
"""
BATCH = """\
metric_batch: {name}
pipeline_trigger: manual
plot_trigger: manual
alert_methods: [console]
deploy: {{work_pool: {pool}, job_variables: {{env: {{ANOMFLOW_HOME: {home}}}}}}}
"""
BROKEN = "ingest_sql: select * from nowhere\n"
HELD = """\
ingest_fn: |
  import socket
  import polars as pl

  def ingest():
      with socket.create_connection(("127.0.0.1", {port})) as gate:
          gate.recv(1)
      return pl.DataFrame({{"metric_timestamp": ["2026-01-01"], "metric_name": ["orders"], "metric_value": [1.0]}})
"""


@dataclass(frozen=True)
class Story:
    """A project that is watched, its notices, and its runs by what becomes of them."""

    project: Project
    receiver: HttpReceiver
    runs: dict[str, FlowRun]
    gate: socket.socket
    log: Path
    left: FlowRun

    def read(self, run: str) -> FlowRun:
        with self.project.client() as client:
            return client.read_flow_run(self.runs[run].id)


def find_notices(receiver: HttpReceiver, about: str, subject: str) -> list[dict[str, str]]:
    """Find the notices of a kind about a deployment, among others that a busy machine may bring before."""
    notices = [posted.content for posted in receiver.accepted]
    return [notice for notice in notices if notice["subject"] == subject and notice["body"].startswith(f"{about}: ")]


def write_batch(project: Project, name: str, pool: str, text: str) -> None:
    home = project.folder / f"home-{name}"
    home.mkdir()
    project.write(f"metrics/{name}/{name}.yaml", BATCH.format(name=name, pool=pool, home=home) + text)


def submit(project: Project, deployment: str) -> FlowRun:
    with project.client() as client:
        return client.create_flow_run_from_deployment(client.read_deployment_by_name(deployment).id)


def is_watched(project: Project, run: FlowRun) -> bool:
    """Tell whether the server has two signs of life: a first one may be overtaken by what tells that the run has started."""
    wanted = {"event": {"name": ["prefect.flow-run.heartbeat"]}, "resource": {"id": [f"prefect.flow-run.{run.id}"]}}
    with project.client() as client:
        answer: Any = client.request("POST", "/events/filter", json={"filter": wanted})  # type: ignore[arg-type]
    return len(answer.json()["events"]) > 1


def kill(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker first, so that it tells nobody, then all that it started."""
    send(SIGKILL, reversed(find_family(worker)))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Get every run into its trouble; nobody works for the pool `idle`."""
    server = tmp_path_factory.mktemp("server")
    with ExitStack() as stack:
        environment = stack.enter_context(serve_prefect_on_postgres(server))
        receiver = stack.enter_context(run_http(Reply()))
        gates = {pool: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for pool in ("mortal", "steady")}
        project = build_project(tmp_path_factory.mktemp("project"), environment)
        for pool, gate in gates.items():
            write_batch(project, f"on-{pool}", pool, HELD.format(port=gate.getsockname()[1]))
        write_batch(project, "broken", "steady", BROKEN)
        for name in ("waiting", "dying"):
            write_batch(project, name, "idle", BROKEN)
        project.write("deploy.yaml", DEPLOY)
        with temporary_settings({PREFECT_API_URL: project.url}):
            text = {"subject": "{{subject}}", "body": "{{body}}"}
            CustomWebhookNotificationBlock(name="ops", url=receiver.url, json_data=text).save("ops")  # type: ignore[arg-type]
        project.run("cli.main", "apply", "--yes")

        runs = {pool: submit(project, f"pipeline/on-{pool}") for pool in gates}
        logs = {pool: project.folder / f"{pool}.log" for pool in gates}
        workers = {
            pool: stack.enter_context(start(["worker", "start", "--pool", pool], dict(project.environment), logs[pool])) for pool in gates
        }
        runs |= {"failed": submit(project, "pipeline/broken"), "late": submit(project, "pipeline/waiting")}
        runs |= {"pending": submit(project, "plot/waiting"), "dying": submit(project, "pipeline/dying")}
        with project.client() as client:
            # What a push pool does, before a container that never starts.
            client.set_flow_run_state(runs["pending"].id, Pending(), force=True)
            # What a run says, and then a worker whose process ends badly.
            for state in (Failed(), Crashed()):
                client.set_flow_run_state(runs["dying"].id, state, force=True)
        held = {}
        for pool, gate in gates.items():
            gate.settimeout(300)
            held[pool] = stack.enter_context(gate.accept()[0])
            wait_for(lambda run=runs[pool]: is_watched(project, run), 300, logs[pool])  # type: ignore[misc]
        kill(workers["mortal"])
        with project.client() as client:
            left = client.read_flow_run(runs["mortal"].id)
        yield Story(project, receiver, runs, held["steady"], server / "server.log", left)


@pytest.mark.parametrize(
    ("about", "subject", "state"),
    [
        ("pipeline/waiting", "shop: A run is late", "Late"),
        ("plot/waiting", "shop: A run does not start", "Pending"),
        ("pipeline/broken", "shop: A run failed", "Failed"),
    ],
)
def test_what_is_late_stuck_or_failed_is_told(story, about, subject, state):
    (notice,) = wait_for(lambda: find_notices(story.receiver, about, subject), 300, story.log)
    assert f" is {state}." in notice["body"]


def test_a_run_that_died_with_its_worker_becomes_crashed_and_is_told_while_a_living_one_goes_on(story):
    assert story.left.state.type == StateType.RUNNING  # nobody was left to say otherwise
    (notice,) = wait_for(lambda: find_notices(story.receiver, "pipeline/on-mortal", "shop: A run failed"), 400, story.log)
    assert "on-mortal is Crashed.\nNo sign of life" in notice["body"]
    assert story.read("mortal").state.type == StateType.CRASHED
    # It has been as quiet, but for its signs of life.
    assert story.read("steady").state.type == StateType.RUNNING
    story.gate.close()
    assert story.project.wait(story.runs["steady"]).name == "Completed"


def test_each_is_told_once(story):
    """Also the run that failed and was said to have crashed a moment later."""
    wait_for(lambda: find_notices(story.receiver, "pipeline/dying", "shop: A run failed"), 300, story.log)
    told = [(posted.content["body"].partition("\n")[0], posted.content["subject"]) for posted in story.receiver.accepted]
    assert len({(text.partition(":")[0], subject) for text, subject in told}) == len(told), told
