"""A project that is deployed as its docs say: by `anomflow sync`, then by Prefect's own command, to a server of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import polars as pl
import pytest
from aiosmtpd.controller import Controller
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.warehouses.duckdb import DuckDBWarehouse
from tests.services.remote import RemoteWorld
from tests.services.service import find_free_port
from tests.world import HOUR, START, YAML, Clock, Mailbox, series

ROOT = Path(__file__).parents[2]
SHARED = ("anomflow", "blocks", "cli", "flows", "tasks", "metrics/defaults")
PYTEST_MARKS = [
    pytest.mark.services,
    pytest.mark.timeout(1200),  # a tenth of it where nothing else runs
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),  # the test's mail server, not ours
]
HOURS = 330
SPIKE = 327
Found = TypeVar("Found")


@dataclass(frozen=True)
class Project:
    """A project beside the code of the checkout, and the environment of whoever works with its server."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.environment["PREFECT_API_URL"]

    @property
    def world(self) -> RemoteWorld:
        """The project's data, for which this process waits while runs have them."""
        warehouse = DuckDBWarehouse(path=str(self.folder / "home" / "anomflow.duckdb"))
        return RemoteWorld(self.folder, Clock(datetime.now(UTC)), "duckdb", warehouse)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, *module: str) -> str:
        """Run a module as a command in the project; it must end well."""
        done = subprocess.run(
            [sys.executable, "-m", *module], cwd=self.folder, env=dict(self.environment), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def deploy(self) -> None:
        self.run("cli.main", "sync")
        self.run("prefect", "--no-prompt", "deploy", "--all")

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        with temporary_settings({PREFECT_API_URL: self.url}), get_client(sync_client=True) as client:
            yield client

    def create_pool(self, name: str, kind: str, template: dict[str, Any] | None = None) -> None:
        with self.client() as client:
            client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=template or {}))

    def read_deployments(self) -> dict[str, DeploymentResponse]:
        """Return the deployments by their job."""
        with self.client() as client:
            return {str(item.entrypoint).rsplit(":", 1)[-1]: item for item in client.read_deployments()}

    def submit(self, job: str) -> FlowRun:
        deployment = self.read_deployments()[job]
        with self.client() as client:
            return client.create_flow_run_from_deployment(deployment.id)

    def wait(self, run: FlowRun) -> State:
        """Return the state that a run ends in."""
        return wait_for(lambda: self._find_end(run), 400)

    def _find_end(self, run: FlowRun) -> State | None:
        with self.client() as client:
            state = client.read_flow_run(run.id).state
        return state if state is not None and state.is_final() else None


def build_project(folder: Path, environment: Mapping[str, str]) -> Project:
    """Make a project whose source has an hour that nobody expects, three hours ago."""
    for name in ("home", "metrics"):
        (folder / name).mkdir()
    for name in SHARED:
        (folder / name).symlink_to(ROOT / name)
    project = Project(folder, environment)
    project.world.put(build_rows(datetime.now(UTC)))
    return project


def build_rows(now: datetime) -> pl.DataFrame:
    """Return hours up to the present one, with a spike near their end."""
    shift = now.replace(minute=0, second=0, microsecond=0) - (START + HOUR * (HOURS - 1))
    return series("orders", HOURS, spikes=[SPIKE]).with_columns(pl.col("metric_timestamp") + shift)


@contextmanager
def serve_mail(mailbox: Mailbox) -> Iterator[dict[str, str]]:
    """Receive mails; yield the environment of the email channel."""
    controller = Controller(mailbox, hostname="127.0.0.1", port=find_free_port())
    controller.start()
    try:
        fields = {"HOST": "127.0.0.1", "PORT": str(controller.port), "SECURITY": "none", "SENDER": "a@example.org"}
        yield {f"ANOMFLOW_EMAIL_{name}": value for name, value in {**fields, "RECIPIENTS": "b@example.org"}.items()}
    finally:
        controller.stop()


def wait_for(find: Callable[[], Found | None], seconds: float, log: Path | None = None) -> Found:
    """Return what is there at last; a log tells why it does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = find()
        if found:
            return found
        Event().wait(0.5)
    told = log.read_text(errors="replace")[-4000:] if log else ""
    raise AssertionError(f"nothing came within {seconds:g} s:\n{told}")


@dataclass(frozen=True)
class Container:
    """What a cloud was asked to start: a command, its environment, and all else that was said of it."""

    command: list[str]
    environment: dict[str, str]
    size: tuple[str, str]
    image: str

    def execute(self, project: Project, image: Mapping[str, str]) -> None:
        """Execute the command as a process with what its image and its task say, and nothing else; it must end well."""
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        environment = {"PATH": path, "PYTHONPATH": str(ROOT), **image, **self.environment}
        program = shutil.which(self.command[0], path=path)
        assert program is not None
        done = subprocess.run(
            [program, *self.command[1:]], cwd=project.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


CLOUD_BATCH = """\
db: postgres/prod
model_path: {store}
alert_methods: [email]
"""


def build_cloud_project(folder: Path, environment: Mapping[str, str], store: str) -> Project:
    """Make a project whose runs are containers: nothing of it may lie on a disk that they lose."""
    project = build_project(folder, environment)
    project.write("metrics/shop/shop.yaml", YAML.format(batch="shop") + CLOUD_BATCH.format(store=store))
    return project


def build_image_environment(project: Project, channel: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an image: what a batch has in the cloud, its image has here in files that outlive the run."""
    here = {"ANOMFLOW__SHOP__DB": "duckdb", "ANOMFLOW__SHOP__MODEL_PATH": "local"}
    return {"ANOMFLOW_HOME": str(project.folder / "home"), **here, **channel}
