"""What every engine must do whose database is one file: locks, a full disk, files that cannot be written or are another's."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from anomflow.errors import WarehouseBusyError, WarehouseError
from tests.conformance.engines import EMBEDDED
from tests.conformance.limits import limit_file_size, obey_permissions
from tests.conformance.rows import DAY, build_rows, fill, read_all, read_values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blocks.warehouses.files import FileWarehouse
    from tests.conformance.engine import Engine

# Python programs that lock the file of their first argument, print a line and wait for their input to end.
HOLDERS = {
    "duckdb": "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()",
    "sqlite": (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin immediate'); "
        "print('held', flush=True); sys.stdin.read()"
    ),
}
READS_IN_READ_ONLY_FOLDER = {"duckdb": True, "sqlite": False}
CONTENTS = [(b"hello" * 1000, "begins with b'hellohello"), (b"SQLite format 3\0" * 99, "SQLite"), (b"12345678DUCK" * 99, "DuckDB")]
STRANGERS = [
    pytest.param(engine, content, words, id=f"{kind}-{words[:6]}")
    for kind, engine in EMBEDDED.items()
    for content, words in CONTENTS
    if kind not in words.casefold()
]


@pytest.fixture(params=EMBEDDED.values(), ids=EMBEDDED)
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.param
    return engine


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> FileWarehouse:
    warehouse: FileWarehouse = engine.build(tmp_path, 20.0)
    return warehouse


@pytest.fixture
def holder(engine: Engine, warehouse: FileWarehouse) -> Iterator[subprocess.Popen[str]]:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    command = [sys.executable, "-c", HOLDERS[engine.kind], str(warehouse.file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_file_that_stays_locked_is_a_clear_error_after_the_limit(
    engine: Engine, warehouse: FileWarehouse, holder: subprocess.Popen[str]
) -> None:
    impatient = warehouse.model_copy(update={"lock_timeout_seconds": 0.2})
    begin = time.monotonic()
    with pytest.raises(WarehouseBusyError, match=re.escape(str(warehouse.file))) as caught:
        fill(impatient, build_rows((DAY, "m", 2.0)))
    assert time.monotonic() - begin < 25
    assert f"process {holder.pid} (python" in str(caught.value)
    assert "lock_timeout_seconds" in str(caught.value)


def test_a_lock_that_is_let_go_is_waited_for(engine: Engine, warehouse: FileWarehouse, holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    timer = threading.Timer(0.3, holder.stdin.close)
    timer.start()
    fill(warehouse, build_rows((DAY, "m", 2.0)))
    timer.join()
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_full_disk_is_a_clear_error_and_leaves_what_was_there(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    many = build_rows(*((DAY + dt.timedelta(seconds=second), "n", 1.0, f"{second:200d}") for second in range(20_000)))
    with limit_file_size(600_000), pytest.raises(WarehouseError, match="disk is full"):
        fill(warehouse, many)
    assert read_values(warehouse) == [(DAY, "m", 1.0)]
    fill(warehouse, build_rows((DAY, "m", 2.0)))
    assert read_values(warehouse) == [(DAY, "m", 2.0)]


def test_a_disk_too_full_to_make_the_file_leaves_nothing(engine: Engine, warehouse: FileWarehouse) -> None:
    with limit_file_size(1000), pytest.raises(WarehouseError, match=r"disk is full|cannot be made"):
        fill(warehouse, build_rows((DAY, "m", 1.0)))
    assert [path.name for path in warehouse.file.parent.iterdir() if path.suffix != ".lock"] == []
    fill(warehouse, build_rows((DAY, "m", 1.0)))


@pytest.mark.skipif(sys.platform != "linux", reason="root's capabilities are dropped through Linux")
def test_a_read_only_file_can_be_read_and_not_written(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    warehouse.file.chmod(0o444)
    with obey_permissions():
        with pytest.raises(WarehouseError, match="read-only"):
            fill(warehouse, build_rows((DAY, "m", 2.0)))
        assert read_values(warehouse) == [(DAY, "m", 1.0)]


@pytest.mark.skipif(sys.platform != "linux", reason="root's capabilities are dropped through Linux")
def test_a_file_in_a_read_only_folder_is_not_written_and_read_where_the_engine_can(engine: Engine, warehouse: FileWarehouse) -> None:
    fill(warehouse, build_rows((DAY, "m", 1.0)))
    warehouse.file.parent.chmod(0o555)
    reading = nullcontext() if READS_IN_READ_ONLY_FOLDER[engine.kind] else pytest.raises(WarehouseError, match="folder is read-only")
    with obey_permissions():
        with pytest.raises(WarehouseError, match="read-only"):
            fill(warehouse, build_rows((DAY, "m", 2.0)))
        with reading:
            read_all(warehouse)
    assert read_values(warehouse) == [(DAY, "m", 1.0)]


@pytest.mark.parametrize(("engine", "content", "words"), STRANGERS)
def test_a_file_of_another_kind_is_left_alone(engine: Engine, warehouse: FileWarehouse, content: bytes, words: str) -> None:
    warehouse.file.write_bytes(content)
    with pytest.raises(WarehouseError, match=f"is not a {engine.kind} database .*{words}"):
        read_all(warehouse)
    with pytest.raises(WarehouseError, match=f"is not a {engine.kind} database"):
        fill(warehouse, build_rows((DAY, "m", 1.0)))
    assert warehouse.file.read_bytes() == content


def test_a_folder_or_a_missing_parent_is_named(engine: Engine, warehouse: FileWarehouse) -> None:
    warehouse.file.mkdir()
    with pytest.raises(WarehouseError, match=r"[Ii]s a directory"):
        read_all(warehouse)
    lost = warehouse.model_copy(update={"path": str(warehouse.file.parent / "nowhere" / "x")})
    with pytest.raises(WarehouseError, match="nowhere does not exist"):
        read_all(lost)
    assert not lost.file.parent.exists()
