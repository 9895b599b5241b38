"""A whole installation whose warehouse is the service that was started; its source is a DuckDB file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.engines import ENGINES, SERVICE
from tests.laws.conftest import mailbox
from tests.services.remote import RemoteWorld
from tests.world import START, Clock

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["mailbox"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> RemoteWorld:
    if reason := ENGINES[SERVICE].cannot.get(request.node.name):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    warehouse = ENGINES[SERVICE].build(tmp_path, 30.0)
    for variable, value in ENGINES[SERVICE].find_environment(warehouse).items():
        monkeypatch.setenv(variable, value)
    shop = RemoteWorld(tmp_path, Clock(START), SERVICE, warehouse)
    shop.configure("alert_methods: [email]\n")
    return shop
