"""What `anomflow sync` writes, in the hands of Prefect: its own models, its command, its server; and time-outs of runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
import yaml
from packaging.requirements import Requirement
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel, RawScheduleConfig
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Pending, Running
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate
from prefect.workers.process import ProcessWorker
from typer.testing import CliRunner

from anomflow.deployments.job_templates import PATH, read_templates
from anomflow.errors import RunError
from cli.job_templates import reduce_template
from cli.main import build_app
from flows.jobrun import find_timeout

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
ENTRYPOINTS = sorted({item["entrypoint"] for item in DOCUMENT["deployments"]})


def test_prefect_knows_every_key_of_the_committed_file():
    """Prefect ignores keys that it does not know, and a file whose schedules it does not understand."""
    model = PrefectYamlModel.model_validate(DOCUMENT)
    unknown = {key for item in DOCUMENT["deployments"] for key in item.keys() - DeploymentConfig.model_fields.keys()}
    assert unknown == set()
    schedules = [schedule for item in model.deployments for schedule in item.schedules or []]
    assert {type(schedule) for schedule in schedules} == {RawScheduleConfig}
    assert all(CronSchedule(cron=item.cron, timezone=item.timezone) for item in schedules if isinstance(item, RawScheduleConfig))


@pytest.mark.parametrize("entrypoint", ENTRYPOINTS)
def test_the_parameters_of_the_committed_file_are_those_of_its_flows(entrypoint):
    schema = parameter_schema(load_flow_from_entrypoint(f"{ROOT}/{entrypoint}")).model_dump()
    for item in (item for item in DOCUMENT["deployments"] if item["entrypoint"] == entrypoint):
        assert validate(item["parameters"], schema, raise_on_error=True, preprocess=True) == []


def test_the_job_variables_of_processes_that_are_checked_are_those_of_the_installed_worker():
    assert read_templates()["process"] == json.loads(json.dumps(reduce_template(ProcessWorker.get_default_base_job_template())))


def test_the_job_variables_that_are_checked_are_those_of_versions_that_the_extras_allow():
    """All of them are compared by `python -m cli.job_templates --check`, where the extras aws and gcp are installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [Requirement(text) for text in (*project["dependencies"], *extras["aws"], *extras["gcp"])]
    made_from = json.loads(PATH.read_text(encoding="utf-8"))["made_from"]
    assert [need.name for need in asked if need.name in made_from and made_from[need.name] in need.specifier] == [*made_from]


@pytest.fixture
def project(tmp_path: Path, api: None) -> Iterator[Path]:
    """A project beside the flows of the checkout, and the pools of its deploy.yaml."""
    for name in ("anomflow", "blocks", "cli", "flows", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("shop", "web"):
        (tmp_path / "metrics" / name).mkdir(parents=True)
        (tmp_path / "metrics" / name / f"{name}.yaml").write_text(f"metric_batch: {name}\ningest_sql: select 1\n")
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="sync-local", type="process"))
    yield tmp_path
    with get_client(sync_client=True) as client:
        client.delete_work_pool("sync-local")


def sync(folder: Path, monkeypatch: pytest.MonkeyPatch, deploy: str) -> dict[str, Any]:
    monkeypatch.chdir(folder)
    (folder / "deploy.yaml").write_text(deploy)
    done = CliRunner().invoke(build_app(), ["sync"])
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load((folder / "prefect.yaml").read_text())
    return found


def deploy_all(folder: Path) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    environ = os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value() or ""}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def read_deployments(tag: str) -> dict[str, Any]:
    with get_client(sync_client=True) as client:
        found = [item for item in client.read_deployments() if tag in item.tags]
    return {item.entrypoint.rsplit(":")[-1]: item for item in found}


def complete_run(deployment_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment_id, parameters={"batch": "shop"})
        for state in (Pending(), Running(), Completed()):
            client.set_flow_run_state(run.id, state, force=True)


def wait_for_runs(deployment_id: UUID) -> list[FlowRun]:
    """Return the runs of a deployment that its schedule did not make, as soon as there is one."""
    only = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]))
    with get_client(sync_client=True) as client:
        for _ in range(600):
            found = [run for run in client.read_flow_runs(flow_run_filter=only) if not run.auto_scheduled]
            if found:
                return found
            Event().wait(0.2)
    return []


def test_prefect_deploys_what_sync_writes(project, monkeypatch):
    pool = "work_pool: sync-local\npools: {sync-local: {type: process, directory: /srv/project}}\n"
    shared = sync(project, monkeypatch, f"project: two\nlayout: job\n{pool}")
    (project / "metrics" / "shop" / "shop.yaml").write_text("metric_batch: shop\ningest_sql: select 1\nplot_trigger: after pipeline\n")
    (project / "metrics" / "web" / "web.yaml").unlink()
    pool = pool.replace(", directory: /srv/project", "")
    own = sync(project, monkeypatch, f"project: one\nlayout: pipeline\nmanual_jobs: []\n{pool}")
    # Of the layout `job` one deployment tells as much as six, and each takes a second.
    own["deployments"] += [item for item in shared["deployments"] if item["entrypoint"] == "flows/plot.py:plot"]
    (project / "prefect.yaml").write_text(yaml.safe_dump(own))
    deploy_all(project)

    found = read_deployments("project:one")
    assert sorted(found) == ["pipeline", "plot"]
    assert {(item.name, item.work_pool_name, item.global_concurrency_limit.limit) for item in found.values()} == {("shop", "sync-local", 1)}
    assert [[(one.slug, one.active) for one in found[job].schedules] for job in ("pipeline", "plot")] == [
        [("default", True)],
        [("default", False)],
    ]
    assert found["plot"].job_variables == {"env": {"ANOMFLOW_RUN_TIMEOUT": "900"}}
    assert found["plot"].parameters == {"batch": "shop"}
    assert found["plot"].pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": str(project)}}]

    plot = read_deployments("project:two")["plot"]
    assert {(one.slug, one.active, one.parameters["batch"]) for one in plot.schedules} == {("shop", True, "shop"), ("web", True, "web")}
    assert plot.global_concurrency_limit is None
    assert plot.pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/project"}}]

    complete_run(plot.id)  # of another project, which starts nothing
    complete_run(found["pipeline"].id)
    (started,) = wait_for_runs(found["plot"].id)
    assert started.parameters == {"batch": "shop"}


def test_a_run_that_takes_longer_than_its_deployment_allows_fails(world, api, monkeypatch):
    world.configure()
    path = world.folder / "metrics" / "slow" / "slow.yaml"
    path.parent.mkdir()
    path.write_text("metric_batch: slow\ningest_fn: |\n  import time\n\n  def ingest():\n      time.sleep(60)\n")
    monkeypatch.setenv("ANOMFLOW_RUN_TIMEOUT", "2")
    before = list(sys.path)
    flow = load_flow_from_entrypoint(f"{ROOT}/flows/ingest.py:ingest")
    sys.path[:] = before
    state = flow(batch="slow", return_state=True)
    assert (state.name, state.is_failed()) == ("TimedOut", True)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_limit_that_is_none_is_an_error_that_names_it(monkeypatch, text):
    monkeypatch.setenv("ANOMFLOW_RUN_TIMEOUT", text)
    with pytest.raises(RunError, match=f"ANOMFLOW_RUN_TIMEOUT is '{text}'; allowed is a number of seconds above 0"):
        find_timeout()


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("90", 90.0), ("0.5", 0.5)])
def test_a_time_limit_is_in_seconds_and_none_means_none(monkeypatch, text, seconds):
    monkeypatch.setenv("ANOMFLOW_RUN_TIMEOUT", text)
    assert find_timeout() == seconds


def test_a_template_is_reduced_to_what_values_are_checked_by():
    block = {"block_type_slug": "gcp-credentials", "type": "object"}
    part = {"type": "object", "properties": {"name": {"type": "string", "title": "Name"}}}
    properties = {
        "description": {"type": "string", "description": "words"},
        "credentials": {"$ref": "#/definitions/Credentials"},
        "part": {"$ref": "#/definitions/Part"},
    }
    variables = {"description": "words", "properties": properties, "definitions": {"Credentials": block, "Part": part}}
    assert reduce_template({"variables": variables}) == {
        "type": "object",
        "properties": {"description": {"type": "string"}, "credentials": {}, "part": {"$ref": "#/definitions/Part"}},
        "definitions": {"Part": {"type": "object", "properties": {"name": {"type": "string"}}}},
    }
