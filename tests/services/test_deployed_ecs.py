"""Deployed to ECS: a real worker submits to an emulated AWS, which starts nothing; what it was asked to start is executed here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import boto3
import httpx
import pytest
from prefect.states import Running
from prefect_aws.workers.ecs_worker import ECSWorker
from prefect_server import serve_prefect, start

from tests.services.deployed import (
    PYTEST_MARKS,
    ROOT,
    Container,
    Project,
    build_cloud_project,
    build_image_environment,
    serve_mail,
    wait_for,
)
from tests.services.service import Server, find_free_port, run_server
from tests.world import Mailbox

pytestmark = PYTEST_MARKS
IMAGE = "registry.example.com/metrics/anomflow:1"
ROLE = "arn:aws:iam::123456789012:role/anomflow"
CLUSTER = "metrics"
ECS_PAGE = (ROOT / "docs" / "deploy" / "ecs.md").read_text(encoding="utf-8")
DEPLOY = """\
project: shop
layout: pipeline
manual_jobs: []
work_pool: run
pools:
  run:
    type: ecs
    image: {image}
    cluster: {cluster}
    network: {network}
    task_role: {role}
    execution_role: {role}-start
  push:
    type: ecs:push
    image: {image}
    cluster: {cluster}
    job_variables: {{env: {{ANOMFLOW_IGNORE_EXAMPLES: "true"}}}}
jobs:
  pipeline: {{cpu: 2, memory: 4Gi, timeout: 1h}}
  plot: {{work_pool: push, cpu: 0.5, memory: 2Gi, timeout: 90s, task_role: {role}-plot}}
"""


def build_template() -> dict[str, Any]:
    template = ECSWorker.get_default_base_job_template()
    # moto adds up the memory of containers, which AWS takes from the task where a container says none.
    template["job_configuration"]["task_definition"]["containerDefinitions"][0]["memory"] = "{{ memory }}"
    return template


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An account with a cluster; the environment of whoever uses it."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    server = Server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], tmp_path_factory.mktemp("aws") / "log")
    given = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": url}
    with run_server(server, lambda: is_there(url)), pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        boto3.client("ecs").create_cluster(clusterName=CLUSTER)
        yield given


def is_there(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/").is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def project(aws: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with serve_prefect(tmp_path_factory.mktemp("server"), PREFECT_API_KEY="of-the-pool") as environment:
        deployed = build_cloud_project(tmp_path_factory.mktemp("project"), environment | aws, "s3-bucket/models")
        network = boto3.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        deployed.write("deploy.yaml", DEPLOY.format(image=IMAGE, cluster=CLUSTER, network=network, role=ROLE))
        deployed.create_pool("run", "ecs", build_template())
        deployed.create_pool("push", "ecs:push", ECSWorker.get_default_base_job_template())
        deployed.deploy()
        yield deployed


def find_tasks() -> list[str]:
    return boto3.client("ecs").list_tasks(cluster=CLUSTER)["taskArns"]


def find_task() -> dict[str, Any] | None:
    found = find_tasks()
    return boto3.client("ecs").describe_tasks(cluster=CLUSTER, tasks=found)["tasks"][0] if found else None


def read_container(task: dict[str, Any]) -> Container:
    asked = task["overrides"]["containerOverrides"][0]
    definition = boto3.client("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    environment = {one["name"]: one["value"] for one in asked["environment"]}
    size = (task["overrides"]["cpu"], task["overrides"]["memory"])
    return Container(asked["command"], environment, size, definition["containerDefinitions"][0]["image"])


def test_what_the_worker_submits_runs_the_whole_chain(project, tmp_path):
    mailbox, log = Mailbox(), tmp_path / "worker.log"
    run = project.submit("pipeline")
    with start(["worker", "start", "--pool", "run", "--type", "ecs"], dict(project.environment), log):
        task = wait_for(find_task, 300, log)
    container = read_container(task)
    assert (container.command, container.size, container.image) == (["prefect", "flow-run", "execute"], ("2048", "4096"), IMAGE)
    assert task["overrides"]["taskRoleArn"] == ROLE
    told = {name: container.environment.get(name) for name in ("ANOMFLOW_RUN_TIMEOUT", "PREFECT_API_URL", "PREFECT_API_KEY")}
    assert told == {"ANOMFLOW_RUN_TIMEOUT": "3600", "PREFECT_API_URL": project.url, "PREFECT_API_KEY": "of-the-pool"}

    with serve_mail(mailbox) as channel:
        container.execute(project, build_image_environment(project, channel))
    state = project.wait(run)
    assert (state.name, ", 1 sent" in str(state.message)) == ("Completed", True), state.message
    assert len(mailbox.mails) == 1


def make_queue() -> dict[str, str]:
    """Make the stack by what the page says; return the environment that it says a worker needs."""
    template = files("prefect_aws.templates.ecs").joinpath("events-only.json").read_text()
    given = re.findall(r"(WorkPoolName|ExistingClusterArn)=(\S+)", ECS_PAGE)
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given]
    boto3.client("cloudformation").create_stack(StackName="events", TemplateBody=template, Parameters=parameters)
    return dict(re.findall(r"export (PREFECT_INTEGRATIONS_\w+)=(\S+)", ECS_PAGE))


def tell_of_kill(task: dict[str, Any]) -> None:
    """Send what AWS sends when a container got a signal; the emulated one tells nobody of its tasks."""
    container = {"name": "prefect", "lastStatus": "STOPPED", "exitCode": 137}
    told = {"clusterArn": task["clusterArn"], "taskArn": task["taskArn"], "lastStatus": "STOPPED", "containers": [container]}
    event = {"Source": "aws.ecs", "DetailType": "ECS Task State Change", "Detail": json.dumps(told)}
    boto3.client("events").put_events(Entries=[event])


def test_a_run_whose_task_is_killed_is_crashed_as_the_queue_of_the_page_tells(project, tmp_path):
    log, before = tmp_path / "worker.log", set(find_tasks())
    observing = make_queue()
    run = project.submit("pipeline")
    with start(["worker", "start", "--pool", "run", "--type", "ecs"], {**project.environment, **observing}, log):
        (task,) = wait_for(lambda: set(find_tasks()) - before, 300, log)
        with project.client() as client:
            client.set_flow_run_state(run.id, Running())
        tell_of_kill(boto3.client("ecs").describe_tasks(cluster=CLUSTER, tasks=[task])["tasks"][0])
        state = project.wait(run)
    assert (state.name, "non-zero exit code" in str(state.message)) == ("Crashed", True), state.message


def test_a_push_pool_gets_deployments_with_their_job_variables(project):
    deployment = project.read_deployments()["plot"]
    with project.client() as client:
        assert client.read_work_pool("push").is_push_pool
    assert (deployment.work_pool_name, deployment.pull_steps, deployment.entrypoint) == ("push", [], "flows/plot.py:plot")
    assert deployment.job_variables == {
        "image": IMAGE,
        "cluster": CLUSTER,
        "task_role_arn": f"{ROLE}-plot",
        "cpu": 512,
        "memory": 2048,
        "env": {"ANOMFLOW_IGNORE_EXAMPLES": "true", "ANOMFLOW_RUN_TIMEOUT": "90"},
    }
