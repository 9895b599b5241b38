"""Deployed to Cloud Run: a real worker makes a job where nothing starts it; what the job says is executed here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from prefect_gcp.workers.cloud_run_v2 import CloudRunWorkerV2
from prefect_server import serve_prefect, start

from tests.services.cloud_run import Cloud, serve_cloud
from tests.services.deployed import PYTEST_MARKS, Container, Project, build_cloud_project, build_image_environment, serve_mail, wait_for
from tests.world import Mailbox

pytestmark = PYTEST_MARKS
IMAGE = "europe-docker.pkg.dev/acme/metrics/anomflow:1"
ACCOUNT = "anomflow@acme.iam.gserviceaccount.com"
DEPLOY = f"""\
project: shop
layout: pipeline
manual_jobs: []
work_pool: run
pools:
  run:
    type: cloud-run-v2
    image: {IMAGE}
    region: europe-west1
    service_account: {ACCOUNT}
  push:
    type: cloud-run-v2:push
    image: {IMAGE}
    region: europe-west1
    network: projects/acme/locations/europe-west1/connectors/inside
    job_variables:
      env: {{ANOMFLOW_IGNORE_EXAMPLES: "true"}}
      env_from_secrets: {{ANOMFLOW_POSTGRES_PASSWORD: {{secret: warehouse, version: latest}}}}
jobs:
  pipeline: {{cpu: 2, memory: 4Gi, timeout: 1h}}
  plot: {{work_pool: push, cpu: 1, memory: 512Mi, timeout: 90s}}
"""
BLOCKS = """\
gcp-credentials/run:
  service_account_info: ${ACCOUNT}
"""


@dataclass
class Site:
    """A deployed project, and the cloud of its worker."""

    project: Project
    cloud: Cloud
    google: dict[str, str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        serve_cloud(tmp_path_factory.mktemp("google")) as (cloud, google),
        serve_prefect(tmp_path_factory.mktemp("server"), PREFECT_API_KEY="of-the-pool") as environment,
    ):
        given = environment | {"ACCOUNT": cloud.build_account()}
        project = build_cloud_project(tmp_path_factory.mktemp("project"), given, "gcs-bucket/models")
        project.write("deploy.yaml", DEPLOY)
        project.write("blocks.yaml", BLOCKS)
        project.run("cli.main", "blocks", "apply", "blocks.yaml")
        project.create_pool("run", "cloud-run-v2", build_template(project))
        project.create_pool("push", "cloud-run-v2:push", CloudRunWorkerV2.get_default_base_job_template())
        project.deploy()
        yield Site(project, cloud, google)


def build_template(project: Project) -> dict[str, Any]:
    """Return the worker's template with credentials, which belong to the pool: a deployment may not name a block."""
    with project.client() as client:
        block = client.read_block_document_by_name("run", "gcp-credentials")
    template = CloudRunWorkerV2.get_default_base_job_template()
    template["variables"]["properties"]["credentials"]["default"] = {"$ref": {"block_document_id": str(block.id)}}
    return template


def read_container(job: dict[str, Any]) -> Container:
    (asked,) = job["template"]["template"]["containers"]
    environment = {one["name"]: one["value"] for one in asked["env"]}
    limits = asked["resources"]["limits"]
    return Container(asked["command"], environment, (limits["cpu"], limits["memory"]), asked["image"])


def test_what_the_worker_submits_runs_the_whole_chain_and_its_job_is_removed(site, tmp_path):
    project, cloud, mailbox, log = site.project, site.cloud, Mailbox(), tmp_path / "worker.log"
    run = project.submit("pipeline")
    working = {**project.environment, **site.google}
    with start(["worker", "start", "--pool", "run", "--type", "cloud-run-v2"], working, log), serve_mail(mailbox) as channel:
        wait_for(lambda: cloud.executions, 300, log)
        ((name, job),) = cloud.jobs.items()
        container = read_container(job)
        container.execute(project, build_image_environment(project, channel))
        cloud.end()
        wait_for(lambda: name in cloud.deleted, 300, log)
    assert (container.command, container.size, container.image) == (["prefect", "flow-run", "execute"], ("2000m", "4Gi"), IMAGE)
    task = job["template"]["template"]
    assert (task["timeout"], task["maxRetries"], task["serviceAccount"]) == ("3720s", 0, ACCOUNT)
    assert name.startswith("projects/local/locations/europe-west1/jobs/")
    told = {name: container.environment.get(name) for name in ("ANOMFLOW_RUN_TIMEOUT", "PREFECT_API_URL", "PREFECT_API_KEY")}
    assert told == {"ANOMFLOW_RUN_TIMEOUT": "3600", "PREFECT_API_URL": project.url, "PREFECT_API_KEY": "of-the-pool"}
    state = project.wait(run)
    assert (state.name, ", 1 sent" in str(state.message)) == ("Completed", True), state.message
    assert len(mailbox.mails) == 1


def test_a_push_pool_gets_deployments_with_their_job_variables(site):
    deployment = site.project.read_deployments()["plot"]
    with site.project.client() as client:
        assert client.read_work_pool("push").is_push_pool
    assert (deployment.work_pool_name, deployment.pull_steps, deployment.entrypoint) == ("push", [], "flows/plot.py:plot")
    assert deployment.job_variables == {
        "image": IMAGE,
        "region": "europe-west1",
        "vpc_connector_name": "projects/acme/locations/europe-west1/connectors/inside",
        "cpu": "1000m",
        "memory": "512Mi",
        "timeout": 210,
        "env": {"ANOMFLOW_IGNORE_EXAMPLES": "true", "ANOMFLOW_RUN_TIMEOUT": "90"},
        "env_from_secrets": {"ANOMFLOW_POSTGRES_PASSWORD": {"secret": "warehouse", "version": "latest"}},
    }
