"""A world outside of the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import START, Clock, World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shop = World(tmp_path, Clock(START))
    shop.configure()
    return shop
