"""A whole installation for each test: a batch over a source table, its warehouse, a real mail server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from aiosmtpd.controller import Controller

from tests import world as made
from tests.world import START, Clock, Mailbox, World


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    for key, value in {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "SECURITY": "none",
        "SENDER": "a@example.org",
        "RECIPIENTS": "b@example.org",
    }.items():
        monkeypatch.setenv(f"ANOMFLOW_EMAIL_{key}", value)
    yield box
    controller.stop()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shop = World(tmp_path, Clock(START))
    shop.configure()
    return shop


@pytest.fixture
def series() -> Callable[..., pl.DataFrame]:
    return made.series


@pytest.fixture
def at() -> Callable[[float], datetime]:
    return made.at
