"""A Prefect API for the session, the flows as a worker loads them, a world outside of the checkout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from prefect_project import project

from anomflow.spec import JOBS
from tests.world import START, Clock, World

__all__ = ["project"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def api() -> Iterator[None]:
    # The heartbeat's thread holds every run up for a second; lines go to the API where a test asks for them.
    updates: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_ENABLED: False}
    with prefect_test_harness(server_startup_timeout=120), temporary_settings(updates):
        yield


@pytest.fixture(scope="session")
def flows(api: None) -> Iterator[dict[str, Flow[..., Any]]]:
    """Every job's flow, loaded by its entrypoint as Prefect loads it: the file as a module of its own."""
    path = list(sys.path)
    yield {job: load_flow_from_entrypoint(f"{ROOT}/flows/{job}.py:{job}") for job in JOBS}
    sys.path[:] = path  # Prefect leaves its folders in front


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world outside of the checkout, as is the working directory."""
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANOMFLOW_METRICS", str(tmp_path / "metrics"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    shop = World(tmp_path, Clock(START))
    shop.configure()
    return shop
