"""Laws 1 to 3 under kills: whatever effect a run dies at, the next runs end in the same place, with nothing lost or told twice."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.pairing import PairedWarehouse
from tests.world import STAGES, Clock, Mailbox, World, at, series

JOBS = ("ingest", "train", "score", "alert")
POINTS = 60  # more than there are, so that every one is met


class Killer:
    """Ends this process by SIGKILL at the effect of a given number; counts them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.met = -1

    def pass_by(self) -> None:
        self.met += 1
        if self.met == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A real part whose effects may be the last thing that its process does: before and after each."""

    def __init__(self, part: Any, killer: Killer, effects: tuple[str, ...]) -> None:
        self.part, self.killer, self.effects = part, killer, effects

    @property
    def rows(self) -> Mortal:
        return self

    @property
    def ledger(self) -> Mortal:
        return self

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.part, name)
        if name not in self.effects:
            return attribute

        def effect(*args: Any) -> Any:
            self.killer.pass_by()
            result = attribute(*args)
            self.killer.pass_by()
            return result

        return effect

    @contextmanager
    def writing(self) -> Iterator[Any]:
        with self.part.writing() as session:
            yield session
            self.killer.pass_by()
        self.killer.pass_by()


def make_mortal(warehouse: Any, killer: Killer) -> Any:
    """Let a run die before and after each commit, of both databases where the ledger has one of its own."""
    if warehouse.ledger is warehouse:
        return Mortal(warehouse, killer, ())
    return PairedWarehouse(Mortal(warehouse.rows, killer, ()), Mortal(warehouse.ledger, killer, ()))


def run_mortal(folder: str, environ: dict[str, str], number: int, counted: Any) -> None:
    os.environ.update(environ)
    world = World(Path(folder), Clock(at(329)))
    run = world.open(at(329))
    killer = Killer(number)
    run.warehouse = make_mortal(run.warehouse, killer)
    run.store = Mortal(run.store, killer, ("write", "delete"))  # type: ignore[assignment]
    load = run.load_notifier
    run.load_notifier = lambda channel: Mortal(load(channel), killer, ("send",))  # type: ignore[assignment, method-assign, return-value]
    for job in JOBS:
        STAGES[job](run)
    counted.value = killer.met + 1


@pytest.fixture(scope="session")
def processes() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.world", "anomflow.detectors.multiview"])
    return context


def environment(world: World) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key.startswith("ANOMFLOW_")}


def run_child(processes: Any, world: World, number: int) -> tuple[int | None, int]:
    counted = processes.Value("i", 0)
    child = processes.Process(target=run_mortal, args=(str(world.folder), environment(world), number, counted))
    child.start()
    child.join(300)
    return child.exitcode, counted.value


def test_kill_at_every_effect_loses_nothing_and_tells_once(processes, world, mailbox, tmp_path):
    world.configure("alert_methods: [email]\n")
    killed, repeated = kill_everywhere(processes, world, mailbox, tmp_path / "prepared")
    assert killed > 15
    # Killed after the server accepted and before that was recorded: the one repeat there is, with the same id.
    assert len(repeated) == 1


def kill_everywhere(processes: Any, world: World, mailbox: Mailbox, prepared: Path) -> tuple[int, list[int]]:
    """Kill a run after every effect and run again each time; return how many there were and those after which a message was repeated.

    What is left is the same before an effect as after the one before it, so a run is killed once for both.
    """
    world.put(series("orders", 330, spikes=[327]))
    shutil.copytree(world.folder / "home", prepared)
    assert run_child(processes, world, -2)[0] == 0
    expected = world.alerts().drop("detected_at", "message_id").rows()
    told = set(mailbox.ids)
    repeated = []

    for number in range(1, POINTS, 2):
        shutil.rmtree(world.folder / "home")
        shutil.copytree(prepared, world.folder / "home")
        mailbox.mails.clear()
        world.clock.moment = at(329)
        code, _ = run_child(processes, world, number)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        world.clock.moment = at(329) + timedelta(hours=1)
        world.run(*JOBS, as_of=at(329.5))
        assert world.alerts().drop("detected_at", "message_id").rows() == expected, f"effect {number}"
        assert world.uncovered(at(0)).is_empty(), f"effect {number}"
        assert set(mailbox.ids) == told, f"effect {number}"
        repeated += [number] * (len(mailbox.ids) - 1)

    return number, repeated
