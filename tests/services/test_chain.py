"""The whole chain on an engine behind a service, from the source to the delivered mail, with the laws that hang on the engine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from anomflow.frames import METRIC, SCORE
from tests.laws.test_crashes import Killer, make_mortal
from tests.services.remote import RemoteWorld, run_at_once
from tests.world import HOUR, STAGES, START, Clock, at, series

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world import Mailbox

pytestmark = pytest.mark.services

JOBS = ("ingest", "train", "score", "alert")


def count_judged(world: RemoteWorld) -> tuple[int, int]:
    """Count the rows, and the rows that have exactly one score."""
    rows = world.table()
    scores = rows.filter(metric_type=SCORE)
    assert scores.select("metric_name", "metric_timestamp").is_duplicated().sum() == 0
    return rows.filter(metric_type=METRIC).height, scores.height


def test_an_anomaly_is_told_once_by_mail(world: RemoteWorld, mailbox: Mailbox) -> None:
    world.put(series("orders", 330, spikes=[327]))
    ingested, trained, scored, alerted = world.run(*JOBS, as_of=at(329))
    assert (ingested.counts["new"], trained.counts["metrics_rebuilt"]) == (330, 1)
    assert scored.counts["scored"] + scored.counts["without_a_score"] == 330
    assert alerted.counts["sent"] == 1
    (mail,) = mailbox.mails
    assert "orders" in mail["Subject"]
    assert world.status_at(327) == "open"
    assert count_judged(world) == (330, 330)


def test_the_chain_runs_on_an_empty_source(world: RemoteWorld, mailbox: Mailbox) -> None:
    world.put(series("orders", 330)[:0])
    outcomes = world.run(*JOBS, "plot", as_of=at(329))
    assert {count for outcome in outcomes for count in outcome.counts.values()} == {0}
    assert mailbox.mails == []


def test_running_anything_again_changes_nothing(world: RemoteWorld, mailbox: Mailbox) -> None:
    world.put(series("orders", 330, spikes=[327]))
    world.run(*JOBS, as_of=at(329))
    before = world.snapshot
    again = world.run(*JOBS, "change", as_of=at(329))
    assert again[0].counts["unchanged"] == 330
    assert world.snapshot == before
    assert len(mailbox.mails) == 1


def test_a_corrected_value_is_judged_again_and_its_alert_resolved(world: RemoteWorld, mailbox: Mailbox) -> None:
    world.put(series("orders", 330, spikes=[327]))
    world.run(*JOBS, as_of=at(329))
    world.put(series("orders", 330)[327:328])
    world.run(*JOBS, as_of=at(329.5))
    assert world.status_at(327) == "resolved"
    assert count_judged(world) == (330, 330)
    assert len(mailbox.mails) == 1


def test_runs_at_once_send_one_message(world: RemoteWorld, mailbox: Mailbox) -> None:
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", "score", as_of=at(329))

    def alert(wait: Callable[[], object]) -> None:
        run = world.open(at(329))
        wait()
        STAGES["alert"](run)

    assert run_at_once(4, alert) == []
    assert len(mailbox.mails) == 1
    assert world.table("_deliveries")["state"].to_list() == ["sent"]


def test_runs_at_once_of_the_whole_chain_record_each_row_and_alert_once(world: RemoteWorld, mailbox: Mailbox) -> None:
    world.put(series("orders", 330, spikes=[327]))
    world.run("ingest", "train", as_of=at(326))
    world.put(series("users", 330, spikes=[327], seed=2))

    def run(wait: Callable[[], object]) -> None:
        opened = world.open(at(329))
        wait()
        for job in JOBS:
            STAGES[job](opened)

    assert run_at_once(3, run) == []
    assert count_judged(world) == (660, 660)
    assert world.alerts(kind="anomaly", metric_timestamp=START + 327 * HOUR).height == 2
    ids = world.table("_alerts")["alert_id"].to_list()
    assert len(ids) == len(set(ids))
    assert len(mailbox.ids) == len(set(mailbox.ids))


def run_mortal(folder: Path, environ: dict[str, str], kind: str, number: int, jobs: tuple[str, ...] = JOBS) -> None:
    from tests.conformance.engines import ENGINES

    os.environ.update(environ)
    run = RemoteWorld(folder, Clock(at(329)), kind, ENGINES[kind].build(folder, 30.0)).open(at(329))
    killer = Killer(number)
    run.warehouse = make_mortal(run.warehouse, killer)
    for job in jobs:
        STAGES[job](run)


@pytest.fixture(scope="session")
def processes() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.world", "anomflow.detectors.multiview"])
    return context


@pytest.mark.parametrize("number", [2, 3, 8, 9, 12, 13])  # the even ones before a commit, the odd ones after it
def test_a_kill_before_or_after_a_commit_loses_nothing_and_tells_once(
    world: RemoteWorld, mailbox: Mailbox, processes: Any, number: int
) -> None:
    world.put(series("orders", 330, spikes=[327]))
    environ = {key: value for key, value in os.environ.items() if key.startswith("ANOMFLOW_")}
    child = processes.Process(target=run_mortal, args=(world.folder, environ, world.kind, number))
    child.start()
    child.join(400)
    assert child.exitcode == -signal.SIGKILL
    world.clock.moment = at(329) + timedelta(hours=1)
    world.run(*JOBS, as_of=at(329.5))
    assert world.status_at(327) == "open"
    assert count_judged(world) == (330, 330)
    assert len(set(mailbox.ids)) == 1
