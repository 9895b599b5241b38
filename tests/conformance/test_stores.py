"""What every model store must do."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from prefect.filesystems import LocalFileSystem

from anomflow.errors import MissingModelError, ModelError
from blocks.stores.filesystem import FilesystemModelStore
from blocks.stores.local import LocalModelStore
from tests.conformance.limits import limit_file_size, obey_permissions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anomflow.protocols import ModelStore

STORES: dict[str, Callable[[Path], ModelStore]] = {
    "local": lambda folder: LocalModelStore(folder=str(folder / "models")),
    "filesystem": lambda folder: FilesystemModelStore(LocalFileSystem(basepath=str(folder))),
}
CONTENT = bytes(range(256)) * 1000


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ModelStore:
    return STORES[request.param](tmp_path)


@pytest.mark.parametrize("name", ["a", "0f3c.anomflow", "batch/shard-0/0f3c", "A_b-c.d"])
@pytest.mark.parametrize("content", [b"", CONTENT])
def test_an_object_comes_back_as_it_was_written(store: ModelStore, name: str, content: bytes) -> None:
    store.write(name, content)
    assert store.read(name) == content
    assert list(store.names()) == [name]


def test_a_missing_object_is_its_own_error_that_names_it_and_the_place(store: ModelStore) -> None:
    store.write("folder/a", b"x")
    for name in ("b", "folder", "folder/b"):
        with pytest.raises(MissingModelError, match=f"has no model object {name}") as caught:
            store.read(name)
        assert store.location in str(caught.value)


def test_a_store_that_nobody_wrote_to_is_empty_and_stays_unmade(store: ModelStore, tmp_path: Path) -> None:
    assert list(store.names()) == []
    with pytest.raises(MissingModelError):
        store.read("a")
    store.delete("a")
    assert list(tmp_path.iterdir()) == []


def test_writing_again_changes_nothing_but_mends_a_torn_object(store: ModelStore, tmp_path: Path) -> None:
    store.write("a", CONTENT)
    store.write("a", CONTENT)
    assert store.read("a") == CONTENT
    (tmp_path / "models" / "a").write_bytes(CONTENT[:10])
    store.write("a", CONTENT)
    assert store.read("a") == CONTENT


def test_writers_at_once_leave_whole_objects_and_nothing_else(store: ModelStore, tmp_path: Path) -> None:
    names = [f"object{number % 5}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(name, name.encode() * 10_000), names))
    assert list(store.names()) == sorted(set(names))
    assert all(store.read(name) == name.encode() * 10_000 for name in names)
    assert len(list((tmp_path / "models").iterdir())) == 5


def test_what_a_killed_writer_left_is_not_listed(store: ModelStore, tmp_path: Path) -> None:
    store.write("a", CONTENT)
    (tmp_path / "models" / ".b.0123.new").write_bytes(b"torn")
    assert list(store.names()) == ["a"]


def test_objects_are_listed_sorted_and_deleted_once(store: ModelStore) -> None:
    for name in ("c", "a/b", "b"):
        store.write(name, b"x")
    assert list(store.names()) == ["a/b", "b", "c"]
    for _ in range(2):
        store.delete("b")
    store.delete("c/d")
    assert list(store.names()) == ["a/b", "c"]


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/../b", "/etc/passwd", "a//b", "a/", ".hidden", "a\\b", "a\0b", "a b", "ü", "x" * 300, "~/a"]
)
def test_a_name_that_could_leave_the_store_is_refused(store: ModelStore, tmp_path: Path, name: str) -> None:
    for act in (lambda: store.write(name, b"x"), lambda: store.read(name), lambda: store.delete(name)):
        with pytest.raises(ModelError, match="cannot name a model object"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_object_and_no_draft(store: ModelStore, tmp_path: Path) -> None:
    store.write("a", b"x")
    with limit_file_size(1000), pytest.raises(ModelError, match=r"b was not stored: .*(File too large)"):
        store.write("b", CONTENT)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="root's capabilities are dropped through Linux")
def test_a_read_only_store_is_a_clear_error(store: ModelStore, tmp_path: Path) -> None:
    store.write("a", b"x")
    (tmp_path / "models").chmod(0o555)
    with obey_permissions(), pytest.raises(ModelError, match=r"b was not stored: .*Permission denied"):
        store.write("b", b"x")
    assert list(store.names()) == ["a"]
