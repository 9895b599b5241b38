"""A real server and a real process worker: a run that is killed is finished by the next one, with nothing lost or told twice."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiosmtpd.controller import Controller
from mail_receiver import find_free_port
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.flow_runs import wait_for_flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.notifiers.email import EmailNotifier
from tests.world import Clock, World, at, series

pytestmark = [
    pytest.mark.worker,
    pytest.mark.timeout(420),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),  # the test's mail server, not ours
]
ROOT = Path(__file__).parents[2]
CHANNELS = ("email/first", "email/second")
BATCH = """\
metric_batch: shop
table_key: metrics
alert_methods: [email/first, email/second]
ingest_fn: |
  import pathlib, socket
  import polars as pl

  def ingest():
      with socket.create_connection(("127.0.0.1", {port})) as gate:
          gate.recv(1)
      return pl.read_parquet("{rows}")
"""


class Gate:
    """A place where a run waits: it tells that one has come, and lets pass when it is opened."""

    def __init__(self, *, is_open: bool) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        if is_open:
            self.opened.set()

    def pass_by(self) -> None:
        self.reached.set()
        self.opened.wait(300)


@dataclass
class Mailbox:
    """A mail server that takes a mail's content, waits at its gate and then answers, also to a sender that is gone."""

    gate: Gate
    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore[arg-type]
        await asyncio.to_thread(self.gate.pass_by)
        return "250 OK"

    @property
    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]


@contextmanager
def serve_mail(mailbox: Mailbox) -> Iterator[int]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=find_free_port())
    controller.start()
    try:
        yield controller.port
    finally:
        mailbox.gate.opened.set()
        controller.stop()


@contextmanager
def serve_gate(gate: Gate) -> Iterator[int]:
    """Let ingest functions pass the gate, one connection each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed below
                with connection:
                    gate.pass_by()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            gate.opened.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


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


@dataclass
class Office:
    """A server, its worker and the deployment of `pipeline`."""

    worker: subprocess.Popen[bytes]
    deployment: Any

    def submit(self, world: World) -> FlowRun:
        parameters = {"batch": "shop", "as_of": at(329).isoformat(), "send": True, "metrics": str(world.folder / "metrics")}
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(
                self.deployment, parameters=parameters, job_variables={"env": {"ANOMFLOW_HOME": str(world.folder / "home")}}
            )

    def wait(self, run: FlowRun) -> FlowRun:
        return asyncio.run(wait_for_flow_run(run.id, timeout=120, poll_interval=1))

    def kill_runs(self) -> int:
        """Kill every process that the worker started, at once and without a word."""
        family = psutil.Process(self.worker.pid).children(recursive=True)
        for member in family:
            os.kill(member.pid, signal.SIGKILL)
        return len(family)


def deploy() -> Any:
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="local", type="process"))
        flow_id = client.create_flow_from_name("pipeline")
        return client.create_deployment(
            flow_id,
            "shop",
            entrypoint="flows/pipeline.py:pipeline",
            pull_steps=pull,
            work_pool_name="local",
            enforce_parameter_schema=False,
        )


WORKING = ("worker", "start", "--pool", "local", "--type", "process", "--name", "worker")


@contextmanager
def serve_prefect(folder: Path) -> Iterator[dict[str, str]]:
    """Run a server that this process speaks to, and yield the environment of its workers."""
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
    }
    serving = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with start(serving, environment, folder / "server.log") as server:
        wait_for_health(url, server, folder / "server.log")
        with temporary_settings({PREFECT_API_URL: url}):
            yield environment


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    with serve_prefect(folder) as environment:
        deployment = deploy()
        with start([*WORKING], environment, folder / "worker.log") as worker:
            yield Office(worker, deployment)


@dataclass
class Scene:
    """A world whose source and two mail servers have gates."""

    world: World
    gates: dict[str, Gate]
    first: Mailbox
    second: Mailbox


@pytest.fixture
def scene(office: Office, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Close the gate that the test is told of."""
    gates = {name: Gate(is_open=name != request.param) for name in ("ingest", "first", "second")}
    first, second = Mailbox(gates["first"]), Mailbox(gates["second"])
    world = World(tmp_path, Clock(at(329)))
    (tmp_path / "home").mkdir()
    (tmp_path / "metrics" / "shop").mkdir(parents=True)
    rows = tmp_path / "rows.parquet"
    series("orders", 330, spikes=[327]).write_parquet(rows)
    with serve_gate(gates["ingest"]) as port, serve_mail(first) as first_port, serve_mail(second) as second_port:
        (tmp_path / "metrics" / "shop" / "shop.yaml").write_text(BATCH.format(port=port, rows=rows))
        for name, mail_port in (("first", first_port), ("second", second_port)):
            channel = EmailNotifier(host="127.0.0.1", port=mail_port, security="none", sender="a@example.org", recipients="b@example.org")
            channel.save(name, overwrite=True)
        yield Scene(world, gates, first, second)


def expire_leases(world: World) -> None:
    """Let the quarter of an hour pass for which a dead run's claims hold."""
    world.sql("update metrics_deliveries set claimed_until = claimed_until - interval 1 hour where state = 'claimed'")


def find_states(world: World) -> dict[str, str]:
    return dict(world.table("_deliveries").select("channel", "state").iter_rows())


@pytest.mark.parametrize(
    ("scene", "mails", "states"),
    [
        pytest.param("ingest", (0, 0), {}, id="while-the-source-is-read"),
        pytest.param("first", (1, 0), {"email/first": "claimed", "email/second": "claimed"}, id="while-the-first-mail-is-taken"),
        pytest.param("second", (1, 1), {"email/first": "sent", "email/second": "claimed"}, id="after-the-first-delivery"),
    ],
    indirect=["scene"],
)
def test_the_next_run_finishes_what_a_killed_one_began(office, scene, request, mails, states):
    world, gate = scene.world, scene.gates[request.node.callspec.params["scene"]]
    killed = office.submit(world)
    assert gate.reached.wait(120)
    assert office.kill_runs() > 0
    gate.opened.set()
    state = office.wait(killed).state
    assert state is not None
    assert state.is_crashed()
    assert (len(scene.first.mails), len(scene.second.mails)) == mails
    assert find_states(world) == states

    expire_leases(world)
    state = office.wait(office.submit(world)).state

    assert state is not None
    assert (state.name, "alert: " in str(state.message)) == ("Completed", True)
    assert find_states(world) == dict.fromkeys(CHANNELS, "sent")
    assert world.uncovered(at(0)).is_empty()
    assert world.status_at(327) == "open"
    assert world.table().height == 660
    # A mail whose sender died before it heard the answer may come again, as the same mail.
    assert len(scene.first.mails) == 1 + (mails[0] and not mails[1])
    assert len(scene.second.mails) == 1 + mails[1]
    assert len({*scene.first.ids, *scene.second.ids}) == 1
