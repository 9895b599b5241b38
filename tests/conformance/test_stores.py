"""What every model store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from anomflow.errors import MissingModelError, ModelError
from tests.conformance.store_fixtures import buckets, place

if TYPE_CHECKING:
    from anomflow.protocols import ModelStore
    from tests.conformance.stores import Place

__all__ = ["buckets", "place"]
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def store(place: Place) -> ModelStore:
    return place.store


@pytest.mark.parametrize("name", ["a", "0f3c.anomflow", "batch/shard-0/0f3c", "A_b-c.d"])
@pytest.mark.parametrize("content", [b"", CONTENT])
def test_an_object_comes_back_as_it_was_written(store: ModelStore, name: str, content: bytes) -> None:
    store.write(name, content)
    assert store.read(name) == content
    assert list(store.names()) == [name]


def test_a_large_object_comes_back_as_it_was_written(store: ModelStore) -> None:
    content = CONTENT * 80  # 20 MB: beyond what some libraries send in one part
    store.write("a", content)
    assert store.read("a") == content


def test_a_missing_object_is_its_own_error_that_names_it_and_the_place(store: ModelStore) -> None:
    store.write("folder/a", b"x")
    for name in ("b", "folder", "folder/b"):
        with pytest.raises(MissingModelError, match=f"has no model object {name}") as caught:
            store.read(name)
        assert store.location in str(caught.value)


def test_a_store_that_nobody_wrote_to_is_empty_and_stays_so(place: Place) -> None:
    assert list(place.store.names()) == []
    with pytest.raises(MissingModelError):
        place.store.read("a")
    place.store.delete("a")
    assert place.keys() == []


def test_writing_again_changes_nothing_but_mends_a_torn_object(place: Place) -> None:
    place.store.write("a", CONTENT)
    place.store.write("a", CONTENT)
    assert place.store.read("a") == CONTENT
    place.put("a", CONTENT[:10])
    place.store.write("a", CONTENT)
    assert place.store.read("a") == CONTENT


def test_writers_at_once_leave_whole_objects_and_nothing_else(place: Place) -> None:
    names = [f"object{number % 5}" for number in range(40)]
    store = place.store
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(name, name.encode() * 10_000), names))
    assert list(store.names()) == sorted(set(names))
    assert all(store.read(name) == name.encode() * 10_000 for name in names)
    assert len(place.keys()) == 5


def test_objects_are_listed_sorted_and_deleted_once(store: ModelStore) -> None:
    for name in ("c", "a/b", "b"):
        store.write(name, b"x")
    assert list(store.names()) == ["a/b", "b", "c"]
    for _ in range(2):
        store.delete("b")
    store.delete("c/d")
    assert list(store.names()) == ["a/b", "c"]


def test_the_objects_of_a_folder_are_listed_by_their_whole_names(store: ModelStore) -> None:
    for name in ("a/b/d", "a/b/c", "a/bc/d", "a/b.d", "b/a/b/c"):
        store.write(name, b"x")
    assert list(store.names("a/b")) == ["a/b/c", "a/b/d"]
    assert list(store.names("c")) == []


def test_more_objects_are_listed_than_one_answer_holds(place: Place) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: place.put(f"{number:04}", b"x"), range(1005)))
    assert list(place.store.names()) == [f"{number:04}" for number in range(1005)]


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/../b", "/etc/passwd", "a//b", "a/", ".hidden", "a\\b", "a\0b", "a b", "ü", "x" * 300, "~/a"]
)
def test_a_name_that_could_leave_the_store_is_refused(place: Place, name: str) -> None:
    store = place.store
    for act in (lambda: store.write(name, b"x"), lambda: store.read(name), lambda: store.delete(name)):
        with pytest.raises(ModelError, match="cannot name a model object"):
            act()
    assert place.keys() == []
