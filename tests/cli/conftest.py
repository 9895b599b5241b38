"""The command in this process: one Prefect API for all tests, and a world a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from tests.world import START, Clock, World


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    with (
        prefect_test_harness(server_startup_timeout=150),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation that all tests of a module share."""
    folder: Path = tmp_path_factory.mktemp("world")
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("ANOMFLOW_HOME", str(folder / "home"))
        yield World(folder, Clock(START))
