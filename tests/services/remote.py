"""The world of the laws, with a service as its warehouse; work done at once; the memory that work takes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from anomflow.frames import TABLES
from tests.world import World


@dataclass
class RemoteWorld(World):
    """One batch named `shop` whose source is a DuckDB file and whose warehouse is a service."""

    kind: str
    warehouse: Any

    def configure(self, text: str = "", batch: str = "shop") -> None:
        super().configure(f"db: {self.kind}\ningest_db: duckdb\n{text}", batch)

    def table(self, suffix: str = "") -> pl.DataFrame:
        table = next(table for table in TABLES if table.suffix == suffix)
        with self.warehouse.reading() as session:
            return session.read_table(table, table.name("metrics")).sort(list(table.columns), nulls_last=True)


def measure_peak(work: Callable[[], object]) -> int:
    """Return how many bytes of memory this process had at most during a piece of work.

    What it had before says nothing: allocators keep what is free for a while, and give it back when they like.
    """
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # from now on the peak counts anew
    work()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024


def run_at_once(count: int, work: Callable[[Callable[[], object]], None]) -> list[Exception]:
    """Do the same in threads, each of which waits for the others by what it is given; return what went wrong."""
    barrier, errors = threading.Barrier(count), []

    def do() -> None:
        try:
            work(lambda: barrier.wait(150))
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=do) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
