"""The jobs with their models in a bucket: trained, spoilt, trained at once, kept only as long as is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anomflow.errors import StoreUnavailableError
from tests.conformance.store_fixtures import buckets, place
from tests.conformance.stores import FOLDER, KIND, LEAKS, BucketPlace
from tests.laws.conftest import mailbox
from tests.services.bucket_users import be_quick, read_address
from tests.services.buckets import CLOUDS
from tests.services.faulty_proxy import run_proxy
from tests.services.remote import run_at_once
from tests.world import STAGES, START, Clock, World, at, series

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world import Mailbox

__all__ = ["buckets", "mailbox", "place"]
pytestmark = [pytest.mark.services, *LEAKS]


@pytest.fixture
def world(place: BucketPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shop = World(tmp_path, Clock(START))
    shop.configure(f"model_path: {place.address}\nmodel_keep_n: 2\nalert_methods: [email]\n")
    shop.put(series("orders", 345, spikes=[327]))
    return shop


def find_objects(world: World) -> set[str]:
    """Return the objects that the versions in the warehouse name."""
    return {f"{FOLDER}/{name}" for name in world.table("_models")["object_name"]}


def test_an_anomaly_is_found_with_a_model_from_the_bucket_and_old_ones_are_dropped(
    world: World, place: BucketPlace, mailbox: Mailbox
) -> None:
    for hour in (310, 329, 340):
        world.run("ingest", "train", "score", "alert", as_of=at(hour))
    assert len(mailbox.mails) == 1
    assert world.status_at(327) == "open"
    assert len(place.keys()) == 2
    assert set(place.keys()) == find_objects(world)


@pytest.mark.parametrize("content", [None, b"tampered with"])
def test_a_spoilt_model_is_passed_over_with_a_note_and_mended_by_the_next_training(
    world: World, place: BucketPlace, content: bytes | None
) -> None:
    world.run("ingest", "train", "score", as_of=at(310))
    older = find_objects(world)
    world.run("ingest", "train", as_of=at(320))
    (newer,) = (key.removeprefix(f"{FOLDER}/") for key in find_objects(world) - older)
    place.store.delete(newer) if content is None else place.put(newer, content)
    (outcome,) = world.run("score", as_of=at(320))
    assert outcome.counts["scored"] == 10
    (note,) = outcome.notes
    assert "is not usable" in note
    assert "the version before is used" in note
    world.run("train", as_of=at(320))
    assert world.run("score", as_of=at(320))[0].notes == ()


def test_trainers_at_once_publish_one_version_that_is_whole(world: World, place: BucketPlace) -> None:
    world.run("ingest", as_of=at(329))

    def train(wait: Callable[[], object]) -> None:
        run = world.open(at(329))
        wait()
        STAGES["train"](run)

    assert run_at_once(3, train) == []
    assert set(place.keys()) == find_objects(world)
    assert world.table("_models")["version"].n_unique() == 1
    (scored,) = world.run("score", as_of=at(329))
    assert scored.notes == ()


def test_a_store_that_is_down_fails_the_run_and_takes_no_older_model(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("ingest", "train", "score", as_of=at(310))
    world.run("ingest", "train", as_of=at(320))
    before = world.snapshot
    with run_proxy(read_address()) as proxy:
        for name, value in CLOUDS[KIND].find_environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        proxy.statuses[:] = [503] * 1000
        run = world.open(at(320))
        run.store = be_quick(run.store, 20.0)
        with pytest.raises(StoreUnavailableError):
            STAGES["score"](run)
        assert world.snapshot == before
        proxy.statuses.clear()
        scored = STAGES["score"](run)
    assert (scored.counts["scored"], scored.notes) == (10, ())
