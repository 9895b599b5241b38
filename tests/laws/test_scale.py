"""The same rows however the work is divided: into slices, shards, processes, or runs of shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from anomflow.batches import load_batch
from anomflow.errors import RunError
from flows.jobrun import Request, Run, metrics_folder, open_run
from flows.outcomes import Outcome
from flows.score import score_stage, sum_up_shards
from flows.train import publish_shards, train_stage
from tasks.handover import gather
from tasks.shard_runs import ShardRuns, find_patience
from tests.world import START, Clock, World, at, series

NAMES = [f"metric-{number}" for number in range(5)]
STEPS = (("train", 199), ("score", 200), ("score", 215), ("train", 220), ("score", 229))


def build_rows() -> pl.DataFrame:
    parts = [series(name, 230, spikes=[200 + number, 226], seed=number) for number, name in enumerate(NAMES)]
    return pl.concat([*parts, series("short", 5), series("ended", 100)])


def open_world(folder: Path, settings: str, patch: pytest.MonkeyPatch) -> World:
    patch.setenv("ANOMFLOW_HOME", str(folder / "home"))
    (folder / "home").mkdir(parents=True)
    world = World(folder, Clock(START))
    world.configure(settings)
    world.put(build_rows())
    world.run("ingest", as_of=at(229))
    return world


def correct(world: World) -> None:
    """Correct a row that is long judged, and let one come late."""
    world.sql(
        "update metrics set metric_value = 500 where metric_type = 'metric' and metric_name = 'metric-3'"
        " and metric_timestamp = timestamptz '2026-01-09 01:00:00+00'"
    )


def read_rows(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a user sees: values, scores and alerts, without the name of the version."""
    rows = world.sql("""
        select metric_name, metric_timestamp, metric_type, metric_value, regexp_replace(metadata, '"model":"[^"]*"', '') as metadata
        from metrics order by all
    """)
    return {"metrics": rows.rows(), "alerts": world.alerts().drop("detected_at").rows()}


def run_steps(world: World) -> dict[str, list[tuple[Any, ...]]]:
    for job, hour in STEPS:
        if hour == 215:
            correct(world)
        world.run(job, as_of=at(hour))
    return read_rows(world)


def open_part(world: World, hour: int, shard: int) -> Run:
    request = Request("shop", at(hour), send=True, metrics=str(world.folder / "metrics"), shard=shard, parent="p")
    return Run(load_batch(metrics_folder(request), "shop", {}, {}), request, world.clock)


class Counting:
    """A model store that keeps the names of the models that are read."""

    def __init__(self, store: Any) -> None:
        self.store, self.read_names = store, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def read(self, name: str) -> bytes:
        self.read_names += [] if name.startswith("shard-runs/") else [name]
        return self.store.read(name)


def watch(run: Run) -> list[str]:
    """Return the list to which the objects of models that a run reads are added."""
    run.store = counting = Counting(run.store)  # type: ignore[assignment]
    return counting.read_names


def name_objects(world: World) -> list[str]:
    """Return the objects of the newest version by shard."""
    return world.table("_models").filter(pl.col("version") == pl.col("version").max()).sort("shard")["object_name"].to_list()


def run_parts(world: World, shards: int) -> tuple[dict[str, list[tuple[Any, ...]]], list[int]]:
    """Run the steps as runs of shards, the last shard first, and gather what they hand over; count the models that each run reads."""
    read = []
    for job, hour in STEPS:
        if hour == 215:
            correct(world)
        for shard in reversed(range(shards)):
            run = open_part(world, hour, shard)
            read.append(watch(run))
            {"train": train_stage, "score": score_stage}[job](run)
        gather_parts(world, ShardRuns(job, "p", {}), hour)
    return read_rows(world), [len(names) for names in read]


def gather_parts(world: World, runs: ShardRuns, hour: int) -> Outcome:
    whole = world.open(at(hour))
    return publish_shards(whole, runs) if runs.job == "train" else sum_up_shards(whole, runs)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
    """What one run in one piece writes."""
    with pytest.MonkeyPatch.context() as patch:
        yield run_steps(open_world(tmp_path_factory.mktemp("whole"), "", patch))


def test_slices_of_shards_write_the_same_rows(tmp_path, monkeypatch, expected):
    assert len(expected["alerts"]) > len(NAMES)
    assert run_steps(open_world(tmp_path, "slice_rows: 300\nshards: 3\n", monkeypatch)) == expected


def test_runs_of_shards_write_the_same_rows(tmp_path, monkeypatch, expected):
    world = open_world(tmp_path, "shards: 3\nscale_out: deployments\n", monkeypatch)
    rows, read = run_parts(world, 3)
    assert rows == expected
    assert read == [0] * 3 + [1] * 3 * (len(STEPS) - 1)
    assert world.table("_models").group_by("version").len()["len"].to_list() == [3, 3]
    assert [path for path in (tmp_path / "home").rglob("shard-runs/**/*") if path.is_file()] == []


def test_the_run_of_a_shard_uses_the_models_of_its_own_metrics_alone(tmp_path, monkeypatch):
    world = open_world(tmp_path, "shards: 6\n", monkeypatch)
    for hour in (180, 199):
        world.run("train", as_of=at(hour))
    objects = name_objects(world)
    (tmp_path / "home" / "models" / objects[0]).write_bytes(b"spoilt")
    world.configure("shards: 3\n")  # the metrics of the second of three are in the second and the fifth of six
    runs = [open_part(world, 200, shard) for shard in range(3)]
    read = [watch(run) for run in runs]
    notes = [score_stage(run).notes for run in runs]
    assert read[1:] == [[objects[1], objects[4]], [objects[2], objects[5]]]
    assert [len(told) for told in notes] == [1, 0, 0]
    assert "the version before is used" in notes[0][0]
    assert world.uncovered(at(100)).filter(pl.col("metric_timestamp") <= at(200)).is_empty()


def test_a_lost_shard_loses_no_row_and_holds_no_other_up(tmp_path, monkeypatch, expected):
    world = open_world(tmp_path, "shards: 3\nscale_out: deployments\n", monkeypatch)
    train_stage(open_part(world, 199, 0))
    outcome = gather_parts(world, ShardRuns("train", "p", {1: "it crashed", 2: "it crashed"}), 199)
    assert outcome.text.endswith("2 shards failed ('1': it crashed; '2': it crashed)")
    for shard in (1, 2):
        score_stage(open_part(world, 200, shard))
    score_stage(open_part(world, 200, 0))
    assert world.uncovered(at(100)).filter(metric_timestamp=at(150)).is_empty()

    kept = name_objects(world)
    train_stage(open_part(world, 210, 1))
    read = watch(whole := world.open(at(210)))
    publish_shards(whole, ShardRuns("train", "p", {0: "it crashed", 2: "it crashed"}))
    assert read == [kept[0], kept[2]]
    world.run("score", as_of=at(229))
    assert world.uncovered(START).is_empty()
    judged = [row for row in expected["metrics"] if row[2] == "score"]
    assert [row[:3] for row in read_rows(world)["metrics"] if row[2] == "score"] == [row[:3] for row in judged]


def test_what_shards_hand_over_is_read_again_until_it_is_used(tmp_path, monkeypatch):
    world = open_world(tmp_path, "shards: 2\nscale_out: deployments\n", monkeypatch)
    for shard in (0, 1):
        train_stage(open_part(world, 199, shard))
    shelf, runs = world.open(at(199)).shelf, ShardRuns("train", "p", {1: "it crashed in the end"})
    first = gather(shelf, runs, world.clock.now())
    assert (set(first.parts), set(first.lost)) == ({0}, {1})
    assert gather(shelf, runs, world.clock.now()) == first  # as where a store did not answer, or the run is started again
    gather_parts(world, runs, 199)
    assert [name for name in shelf.store.names() if name.startswith("shard-runs/")] == []


def test_shards_are_those_of_the_run_that_waits_though_the_batch_has_others_meanwhile(tmp_path, monkeypatch):
    world = open_world(tmp_path, "shards: 3\nscale_out: deployments\n", monkeypatch)
    parent = world.open(at(199))
    world.configure("shards: 2\nscale_out: deployments\n")
    for shard in range(3):
        told = {**parent.shard_parameters, "as_of": at(199)}
        train_stage(open_run(Request(**told, shard=shard, parent="p"), world.clock))
    outcome = publish_shards(parent, ShardRuns("train", "p", {}))
    assert (outcome.counts["metrics_rebuilt"], outcome.lost) == (len([*NAMES, "ended"]), {})


def test_nothing_is_published_where_every_shard_is_lost(tmp_path, monkeypatch):
    world = open_world(tmp_path, "shards: 2\nscale_out: deployments\n", monkeypatch)
    outcome = gather_parts(world, ShardRuns("train", "p", {0: "it crashed", 1: "it crashed"}), 199)
    assert not outcome.worked
    assert world.open(at(199)).store.names() == []


@pytest.mark.parametrize(
    ("asked", "limit", "elapsed", "waits"),
    [(600, None, 0, 600), (600, 3600, 30, 600), (3600, 3600, 40, 3200), (3600, 1800, 0, 1620), (600, 60, 59, 0)],
)
def test_a_run_waits_for_its_shards_no_longer_than_it_can_still_tell_of_them(asked, limit, elapsed, waits):
    patience = find_patience(asked, limit, elapsed)
    assert patience.seconds == waits
    assert patience.reason.startswith("shard_timeout" if waits == asked else "nine tenths of its own time-out")


@pytest.mark.parametrize(("shard", "parent", "words"), [(3, "p", "shards 0 to 2"), (-1, "p", "shards 0 to 2"), (1, None, "without parent")])
def test_a_shard_that_nobody_waits_for_is_refused(tmp_path, monkeypatch, shard, parent, words):
    world = open_world(tmp_path, "shards: 3\n", monkeypatch)
    request = Request("shop", at(1), metrics=str(tmp_path / "metrics"), shard=shard, parent=parent)
    with pytest.raises(RunError, match=words):
        open_run(request, world.clock)
