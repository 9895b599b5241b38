"""A ledger in a database of its own: whatever effect a process is killed at, the next runs lose nothing and tell once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.apart import ApartWorld
from tests.laws.conftest import mailbox
from tests.laws.test_crashes import kill_everywhere, processes
from tests.world import START, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import Mailbox

__all__ = ["mailbox", "processes"]
pytestmark = pytest.mark.services


@pytest.mark.timeout(1200)
def test_kill_after_every_effect_loses_nothing_and_tells_once(
    processes: Any, mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    world = ApartWorld(tmp_path, Clock(START))
    world.configure("alert_methods: [email]\n")
    met, repeated = kill_everywhere(processes, world, mailbox, tmp_path / "prepared")
    assert met > 30
    # Killed after the server accepted: the one repeat there is, with the same id.
    assert len(repeated) == 1
