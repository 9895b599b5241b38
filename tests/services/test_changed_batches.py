"""How a changed batch reaches the runs of deployments that exist: by a folder, by Git, by a new image."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from prefect_server import serve_prefect

from tests.services.deployed import CLOUD_BATCH, PYTEST_MARKS, SHARED, Project, build_project
from tests.world import YAML

pytestmark = PYTEST_MARKS
DEPLOY = "project: shop\nmanual_jobs: []\nwork_pool: run\npools: {{run: {{type: {kind}, {way}}}}}\n"
CLOUD = {"ANOMFLOW__SHOP__DB": "duckdb", "ANOMFLOW__SHOP__MODEL_PATH": "local", "ANOMFLOW__SHOP__ALERT_METHODS": "console"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serve_prefect(tmp_path_factory.mktemp("server")) as given:
        yield given


@pytest.fixture
def project(environment: dict[str, str], tmp_path: Path) -> Project:
    (tmp_path / "checkout").mkdir()
    found = build_project(tmp_path / "checkout", environment)
    write_batch(found, "orders")
    return found


def write_batch(project: Project, name: str, text: str = "alert_methods: [console]\n") -> None:
    """Write a batch whose metric has a name."""
    batch = YAML.format(batch="shop").replace("metric_name,", f"'{name}' as metric_name,")
    project.write("metrics/shop/shop.yaml", f"{batch}ingest_trigger: manual\n{text}")


def run_ingest(project: Project, folder: Path, image: Mapping[str, str] | None = None) -> set[str]:
    """Run the deployment where a worker or a platform would, and return the metrics that there are then."""
    folder.mkdir(exist_ok=True)
    run = project.submit("ingest")
    given = {**project.environment, "ANOMFLOW_HOME": str(project.folder / "home"), **(image or {})}
    command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run.id)]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return set(project.world.table()["metric_name"])


def commit(project: Project) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    names = [*SHARED, "metrics/shop", "deploy.yaml"]
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", *names], [*author, "commit", "--quiet", "--message=batch"]):
        subprocess.run(["git", *command], cwd=project.folder, check=True)  # noqa: S607 - whichever git is there


def test_a_folder_reaches_the_next_run(project, tmp_path):
    project.write("deploy.yaml", DEPLOY.format(kind="process", way=f"directory: {project.folder}"))
    project.run("cli.main", "apply", "--yes")
    assert run_ingest(project, tmp_path / "first") == {"orders"}
    write_batch(project, "visits")
    assert run_ingest(project, tmp_path / "second") == {"orders", "visits"}


def test_a_repository_reaches_the_next_run_once_it_is_pushed(project, tmp_path):
    clone = f"git_clone: {{repository: 'file://{project.folder}', branch: main}}"
    project.write("deploy.yaml", DEPLOY.format(kind="process", way=clone))
    commit(project)
    project.run("cli.main", "apply", "--yes")
    write_batch(project, "visits")
    assert run_ingest(project, tmp_path / "first") == {"orders"}
    commit(project)
    assert run_ingest(project, tmp_path / "second") == {"orders", "visits"}


def test_an_image_reaches_runs_by_a_new_one_and_a_deployment_that_names_it(environment, project, tmp_path):
    cloud = CLOUD_BATCH.format(store="gcs-bucket/models")
    write_batch(project, "orders", cloud)
    project.write("deploy.yaml", DEPLOY.format(kind="cloud-run-v2:push", way="image: 'shop:{{ $IMAGE_TAG }}'"))
    project.create_pool("run", "cloud-run-v2:push")

    def deploy(tag: str) -> None:
        shutil.copytree(project.folder, tmp_path / f"shop:{tag}", symlinks=True, ignore=shutil.ignore_patterns("home"))
        Project(project.folder, {**environment, "IMAGE_TAG": tag}).run("cli.main", "apply", "--yes")

    def run() -> set[str]:
        image = project.read_deployments()["ingest"].job_variables["image"]
        return run_ingest(project, tmp_path / image, CLOUD)

    deploy("1")
    write_batch(project, "visits", cloud)
    assert run() == {"orders"}
    deploy("2")
    assert run() == {"orders", "visits"}


@pytest.fixture(autouse=True)
def clean(environment: dict[str, str], project: Project) -> Iterator[None]:
    yield
    with project.client() as client:
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)
        client.delete_work_pool("run")
