"""A project made of texts: batches, deploy.yaml, and what they are deployed as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anomflow.batches import load_batches
from anomflow.deployments import Deployment, build_deployments, find_deploy_problems, read_plan

BuildProject = Callable[..., dict[str, Deployment]]
FindProblems = Callable[..., list[str]]


def write_project(batches: dict[str, str], deploy: str) -> None:
    for name, text in batches.items():
        path = Path("metrics") / name / f"{name.rsplit('/', 1)[-1]}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"metric_batch: {path.stem}\ningest_sql: select 1\n{text}", encoding="utf-8")
    Path("deploy.yaml").write_text(deploy, encoding="utf-8")


@pytest.fixture
def build_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildProject:
    """Build the deployments, by key, of batches (text by name) and a deploy.yaml that have nothing wrong."""
    monkeypatch.chdir(tmp_path)

    def build(batches: dict[str, str], deploy: str = "") -> dict[str, Deployment]:
        write_project(batches, deploy)
        loaded, plan = load_batches(Path("metrics"), {}), read_plan(Path("deploy.yaml"))
        assert loaded.errors == ()
        assert [str(problem) for problem in find_deploy_problems(loaded.batches.values(), plan) if not problem.warning] == []
        return {deployment.key: deployment for deployment in build_deployments(loaded.batches.values(), plan)}

    return build


@pytest.fixture
def find_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FindProblems:
    """Find what is wrong with deploying batches by a deploy.yaml, as text with file and line."""
    monkeypatch.chdir(tmp_path)

    def find(batches: dict[str, str], deploy: str = "") -> list[str]:
        write_project(batches, deploy)
        loaded, plan = load_batches(Path("metrics"), {}), read_plan(Path("deploy.yaml"))
        assert loaded.errors == ()
        return [str(problem) for problem in find_deploy_problems(loaded.batches.values(), plan)]

    return find
