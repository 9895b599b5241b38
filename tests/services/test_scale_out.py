"""Shards as runs on a real Prefect server and worker, a pool of processes, a Dask cluster: the same rows as of one run."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import distributed  # noqa: F401 - its settings have values from here on
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.context import serialize_context
from prefect.flow_runs import wait_for_flow_run
from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, temporary_settings
from prefect.states import AwaitingRetry, Cancelling
from prefect_server import serve_prefect, start

from anomflow.batches import load_batch
from anomflow.deployments.building import build_deployments
from anomflow.deployments.plan import DeployPlan
from anomflow.errors import RunError
from anomflow.sections.places import ModelSpec
from anomflow.workers import open_workers
from tests.laws.test_scale import open_world, read_rows
from tests.services.deployed import wait_for
from tests.world import World, at

pytestmark = [pytest.mark.worker, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
SHARDS = 3
SETTINGS = f"shards: {SHARDS}\nscale_out: deployments\nshard_timeout: 5min\n"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server, and a worker of the pool `local`; nobody works for the pool `idle`."""
    folder = tmp_path_factory.mktemp("office")
    working = ["worker", "start", "--pool", "local", "--type", "process", "--name", "worker"]
    with serve_prefect(folder) as environment, temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
        with get_client(sync_client=True) as client:
            for pool in ("local", "idle"):
                client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        with start(working, environment, folder / "worker.log"):
            yield


def deploy(world: World, twin_pool: str = "local", **environment: str) -> dict[str, Any]:
    """Create the deployments that `sync` writes for the batch, and return their ids by key."""
    plan = DeployPlan(metrics=str(world.folder / "metrics"))
    batch = load_batch(world.folder / "metrics", "shop", {}, {})
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
    found = {}
    with get_client(sync_client=True) as client:
        for built in build_deployments([batch], plan):
            found[built.key] = client.create_deployment(
                client.create_flow_from_name(built.job),
                built.name,
                entrypoint=built.entrypoint,
                pull_steps=pull,
                work_pool_name=twin_pool if built.name.endswith("-shard") else "local",
                parameters=dict(built.parameters),
                tags=list(built.tags),
                job_variables={"env": {"ANOMFLOW_HOME": str(world.folder / "home"), **environment}},
                enforce_parameter_schema=False,
            )
    return found


def submit(deployment: Any, hour: int) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(deployment, parameters={"as_of": at(hour).isoformat()})


def wait(run: FlowRun) -> FlowRun:
    return asyncio.run(wait_for_flow_run(run.id, timeout=400, poll_interval=1))


def find_children(run: FlowRun) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id])))


@pytest.fixture
def expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What one run in one process writes."""
    world = open_world(tmp_path / "expected", "", monkeypatch)
    world.run("train", "score", as_of=at(229))
    return read_rows(world)


def test_shards_as_runs_write_the_same_rows(office, tmp_path, monkeypatch, expected):
    world = open_world(tmp_path / "shards", SETTINGS, monkeypatch)
    ids = deploy(world)
    for job in ("train", "score"):
        done = wait(submit(ids[f"{job}/shop"], 229))
        assert (done.state.name, len(find_children(done))) == ("Completed", SHARDS), done.state.message
    assert read_rows(world) == expected


def test_a_run_that_is_cancelled_ends_the_runs_of_its_shards(office, tmp_path, monkeypatch):
    ids = deploy(open_world(tmp_path, SETTINGS, monkeypatch), twin_pool="idle")
    parent = submit(ids["train/shop"], 229)
    deadline = asyncio.run(_wait_for_children(parent))
    assert deadline
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(parent.id, Cancelling())
    assert wait(parent).state.is_cancelled()
    assert {child.state.name for child in find_children(parent)} <= {"Cancelled", "Cancelling"}


@pytest.mark.parametrize(
    ("limits", "words"),
    [(("3s", "60"), "3 seconds (shard_timeout)"), (("5min", "60"), "seconds (nine tenths of its own time-out, 60 seconds)")],
)
def test_shards_that_nobody_runs_are_given_up_after_the_time_limit(office, tmp_path, monkeypatch, limits, words):
    world = open_world(tmp_path, SETTINGS.replace("5min", limits[0]), monkeypatch)
    ids = deploy(world, twin_pool="idle", ANOMFLOW_RUN_TIMEOUT=limits[1])
    done = wait(submit(ids["train/shop"], 229))
    assert done.state.is_failed()
    assert f"{SHARDS} shards failed" in done.state.message
    assert words in done.state.message
    assert {child.state.name for child in find_children(done)} <= {"Cancelled", "Cancelling"}


def start_again(run: FlowRun) -> FlowRun:
    """Do what Retry in Prefect's UI does, and wait for the end."""
    with get_client(sync_client=True) as client:
        before = client.read_flow_run(run.id).run_count
        client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
    return wait_for(lambda: find_end(run, before + 1), 400)


def find_end(run: FlowRun, attempt: int) -> FlowRun | None:
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(run.id)
    return found if found.run_count == attempt and found.state.is_final() else None


def test_a_run_that_is_started_again_works_on_the_shards_that_left_no_result(office, tmp_path, monkeypatch):
    world = open_world(tmp_path, SETTINGS.replace("5min", "1s"), monkeypatch)
    ids = deploy(world, twin_pool="idle")
    run = wait(submit(ids["train/shop"], 229))
    assert run.state.is_failed()
    with get_client(sync_client=True) as client:
        client.update_deployment(ids["train/shop-shard"], DeploymentUpdate(work_pool_name="local"))
    world.configure(SETTINGS)
    again = start_again(run)
    assert again.state.is_completed(), again.state.message
    assert "metrics rebuilt" in again.state.message
    # As a pipeline does whose alerts failed after all shards had their say.
    once_more = start_again(run)
    assert once_more.state.is_completed(), once_more.state.message
    assert [child.state.name for child in find_children(run)].count("Completed") == 2 * SHARDS


async def _wait_for_children(run: FlowRun) -> bool:
    for _ in range(400):
        if len(await asyncio.to_thread(find_children, run)) == SHARDS:
            return True
        await asyncio.sleep(1)
    return False


@pytest.mark.parametrize("settings", ["processes: 2\n", "processes: 2\nscale_out: dask\nshards: 2\n"], ids=["processes", "dask"])
def test_processes_and_dask_write_the_same_rows(tmp_path, monkeypatch, expected, settings):
    monkeypatch.setattr("anomflow.workers.LEAST_ROWS", 1)  # or all is done here
    world = open_world(tmp_path / "other", settings, monkeypatch)
    world.run("train", "score", as_of=at(229))
    assert read_rows(world) == expected


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_said_to_be_so(address):
    spec = ModelSpec(scale_out="dask", dask_address=address)
    timeout = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with (
        timeout,
        pytest.raises(RunError, match=f"dask_address: no scheduler of Dask at {address} .*; start the scheduler"),
        open_workers(spec),
    ):
        pass


def test_workers_of_a_cluster_that_end_are_said_to_have_ended():
    impatient, words = dask.config.set({"distributed.scheduler.allowed-failures": 0}), r"ended before they were done.*lower `slice_rows`"
    with impatient, open_workers(ModelSpec(scale_out="dask")) as workers, pytest.raises(RunError, match=words):
        workers.map(os._exit, [(1,)])


def test_tasks_of_prefect_on_dask_would_hand_the_key_of_the_api_to_all_workers():
    """The reason why `scale_out: dask` is none of these (docs/scale.md): what their runner sends along with each task."""
    with temporary_settings({PREFECT_API_KEY: "s3cret-Pa55"}):
        assert b"s3cret-Pa55" in pickle.dumps(serialize_context())
