"""A real server and a real process worker: a run that is killed is finished by the next one, with nothing lost or told twice."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import queue
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.flow_runs import wait_for_flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import find_family, send, serve_prefect_on_postgres, start
from typer.testing import CliRunner

from blocks.notifiers.email import EmailNotifier
from cli.main import build_app
from tests.services.service import find_free_port
from tests.world import Clock, World, at, series

pytestmark = [
    pytest.mark.worker,
    pytest.mark.timeout(1200),
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
        self.opened.wait(600)


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
            thread.join(150)


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
        return asyncio.run(wait_for_flow_run(run.id, timeout=400, poll_interval=1))

    def kill_runs(self) -> int:
        """Kill every process that the worker started, at once and without a word."""
        *family, _ = find_family(self.worker)
        send(SIGKILL, family)
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


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    with serve_prefect_on_postgres(folder) as environment:
        working = ["worker", "start", "--pool", "local", "--type", "process", "--name", "worker"]
        with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
            deployment = deploy()
            with start(working, environment, folder / "worker.log") as worker:
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
    assert gate.reached.wait(300)
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


@contextmanager
def receive_notices() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Take what the server posts."""
    notices: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            notices.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", notices
        finally:
            server.shutdown()
            thread.join(150)


@pytest.mark.parametrize("scene", ["ingest"], indirect=True)
def test_a_run_that_is_killed_is_told_by_the_server(office, scene, monkeypatch):
    """What `anomflow apply` made: a deployment of a batch, and the automation that posts to a block of Prefect."""
    folder = scene.world.folder
    monkeypatch.chdir(folder)
    pool = f"pools: {{local: {{type: process, directory: {ROOT}}}}}"
    (folder / "deploy.yaml").write_text(f"project: night\nwatch: {{failure_methods: [custom-webhook/ops]}}\n{pool}\n")
    off = "".join(f"\n{job}_default_schedule_status: STOPPED" for job in ("ingest", "train", "score", "change", "alert", "plot"))
    batch = folder / "metrics" / "shop" / "shop.yaml"
    batch.write_text(batch.read_text() + off)
    with receive_notices() as (url, notices):
        text = {"subject": "{{subject}}", "body": "{{body}}"}
        CustomWebhookNotificationBlock(name="ops", url=url, json_data=text).save("ops")
        done = CliRunner().invoke(build_app(), ["apply", "--yes"])
        assert done.exit_code == 0, done.output
        with get_client(sync_client=True) as client:
            client.create_flow_run_from_deployment(
                client.read_deployment_by_name("ingest/shop").id,
                parameters={"metrics": str(folder / "metrics")},
                job_variables={"env": {"ANOMFLOW_HOME": str(folder / "home")}},
            )
        assert scene.gates["ingest"].reached.wait(300)
        office.kill_runs()
        notice = notices.get(timeout=300)
    assert notice["subject"] == "night: A run failed"
    assert "ingest/shop: ingest shop is Crashed." in notice["body"]
