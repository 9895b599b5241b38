"""What only a folder of this machine does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from anomflow.errors import ModelError
from blocks.stores.local import LocalModelStore
from tests.conformance.limits import limit_file_size, obey_permissions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> LocalModelStore:
    return LocalModelStore(folder=str(tmp_path / "models"))


def test_reading_makes_no_folder(store: LocalModelStore, tmp_path: Path) -> None:
    assert store.names() == []
    store.delete("a")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_not_listed(store: LocalModelStore, tmp_path: Path) -> None:
    store.write("a", b"x")
    (tmp_path / "models" / ".b.0123.new").write_bytes(b"torn")
    assert store.names() == ["a"]


def test_a_full_disk_leaves_no_object_and_no_draft(store: LocalModelStore, tmp_path: Path) -> None:
    store.write("a", b"x")
    with limit_file_size(1000), pytest.raises(ModelError, match=r"b was not stored: .*(File too large)"):
        store.write("b", bytes(100_000))
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="root's capabilities are dropped through Linux")
def test_a_read_only_store_is_a_clear_error(store: LocalModelStore, tmp_path: Path) -> None:
    store.write("a", b"x")
    (tmp_path / "models").chmod(0o555)
    with obey_permissions(), pytest.raises(ModelError, match=r"b was not stored: .*Permission denied"):
        store.write("b", b"x")
    assert store.names() == ["a"]
