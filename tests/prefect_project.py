"""A project of two batches in a folder, our commands there, and a server that is left as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from typer.testing import CliRunner

from cli.main import build_app

DEPLOY = "project: trial\nmanual_jobs: []\nlayout: pipeline\nwork_pool: trial\npools: {trial: {type: process}}\n"
SHOP = "metric_batch: shop\ningest_sql: select 1\nplot_trigger: after pipeline\n"


@contextmanager
def open_project(folder: Path) -> Iterator[Path]:
    """Be in a project with two batches, whose traces are removed from the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_batch("shop", SHOP)
        write_batch("web", SHOP.replace("shop", "web"))
        Path("deploy.yaml").write_text(DEPLOY)
        try:
            yield folder
        finally:
            clear()


@pytest.fixture
def project(tmp_path: Path, api: None) -> Iterator[Path]:
    """Open a project for one test."""
    with open_project(tmp_path) as folder:
        yield folder


def clear() -> None:
    """Remove all deployments, pools and automations from the server."""
    with get_client(sync_client=True) as client:
        for item in client.read_deployments():
            client.delete_deployment(item.id)
        for pool in client.read_work_pools():
            client.delete_work_pool(pool.name)
        for automation in client.request("POST", "/automations/filter", json={}).json():  # type: ignore[arg-type]
            client.request("DELETE", f"/automations/{automation['id']}")  # type: ignore[arg-type]


def write_batch(name: str, text: str) -> None:
    path = Path("metrics") / name / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def call(*arguments: str, code: int = 0) -> Any:
    """Run a command, and return what it prints as JSON."""
    done = CliRunner().invoke(build_app(), [*arguments, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)
