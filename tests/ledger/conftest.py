"""A ledger in a real file, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anomflow.ledger.alerts import ensure_ledger
from tests.ledger.ledger_session import ENGINES, File, open_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(params=ENGINES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> File:
    """Open an empty ledger on each engine."""
    return _open(request.param, tmp_path)


@pytest.fixture(scope="session")
def open_ledger(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], File]:
    """Return what opens an empty ledger, for tests that need many (SQLite: the faster one)."""
    return lambda: _open("sqlite", tmp_path_factory.mktemp("ledger"))


@pytest.fixture
def ledger(tmp_path: Path) -> File:
    """Open an empty ledger on the faster engine, for tests with many cases."""
    return _open("sqlite", tmp_path)


def _open(engine: str, folder: Path) -> File:
    file = open_file(engine, folder)
    with file.writing() as session:
        ensure_ledger(session, "metrics")
    return file
