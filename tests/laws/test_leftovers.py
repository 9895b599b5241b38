"""What a training leaves that is killed: kept while its run may be at work, removed by the next training after that."""

from __future__ import annotations

from typing import Any

from anomflow.errors import StoreError
from flows.train import train_stage
from tasks.handover import gather
from tasks.shard_runs import ShardRuns
from tests.laws.test_scale import gather_parts, open_part, open_world
from tests.world import at


def test_what_a_killed_training_left_is_removed_once_its_run_must_have_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("ANOMFLOW_RUN_TIMEOUT", "3600")
    world = open_world(tmp_path, "shards: 2\nscale_out: deployments\n", monkeypatch)
    for shard in (0, 1):
        train_stage(open_part(world, 199, shard))  # begun at 229, as the clock says; the run that waits is killed
    shelf, runs = world.open(at(199)).shelf, ShardRuns("train", "p", {})
    left = [name for name in shelf.store.names() if name.startswith(shelf.folder)]
    world.run("train", as_of=at(231))
    assert {*left} < {*shelf.store.names()}
    assert gather(shelf, runs, at(231)).lost == {}

    (outcome,) = world.run("train", as_of=at(233))
    assert outcome.counts["old_objects_dropped"] == 2
    assert {name for name in shelf.store.names() if not name.startswith("shard-runs/")} == {*world.table("_models")["object_name"]}
    late = gather_parts(world, runs, 233)  # as one that is started again after days
    assert (late.worked, len(late.lost)) == (False, 2)
    assert "what it learned is kept until 2026-01-10 16:00 UTC, too short to publish it now" in late.text


class Unlisted:
    """A model store that may not be listed."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def names(self, folder: str = "") -> list[str]:
        raise StoreError(f"{folder} may not be listed")


def test_a_store_that_may_not_be_listed_keeps_what_is_left_and_the_training_says_so(world, series):
    world.put(series("orders", 100))
    run = world.open(at(99))
    run.store = Unlisted(run.store)
    world.run("ingest", as_of=at(99))
    outcome = train_stage(run)
    assert outcome.counts["metrics_rebuilt"] == 1
    (note,) = outcome.notes
    assert note.startswith("what killed runs may have left in the model store stays there (unpublished/")
    world.run("score", as_of=at(99))
    assert world.uncovered(at(0)).is_empty()
