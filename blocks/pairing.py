"""A batch's ledger in a database of its own: two warehouses as one.

No transaction spans both. A session that writes commits the ledger first: where it dies in between, what it wrote into the
rows' database is undone, and the next run finds the same rows to ingest or to score, judges them again and records them
under the same ids, which changes nothing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from anomflow.protocols import Session, Warehouse


class PairedSession:
    """The session of the rows' database, which knows that of the ledger's."""

    def __init__(self, rows: Session, ledger: Session) -> None:
        self._rows = rows
        self.ledger = ledger

    def __getattr__(self, name: str) -> Any:
        """Be the rows' session in all else."""
        return getattr(self._rows, name)


@dataclass(frozen=True)
class PairedWarehouse:
    """Two warehouses: of observations and models' versions, and of the ledger."""

    rows: Warehouse
    ledger: Warehouse

    @property
    def dialect(self) -> str:
        return self.rows.dialect

    @property
    def location(self) -> str:
        return f"{self.rows.location} (ledger: {self.ledger.location})"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._open(lambda warehouse: warehouse.reading()) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with self._open(lambda warehouse: warehouse.writing()) as session:
            yield session

    @contextmanager
    def _open(self, start: Callable[[Warehouse], AbstractContextManager[Session]]) -> Iterator[Session]:
        # The ledger's session ends, and so commits, first.
        with ExitStack() as of_rows, ExitStack() as of_ledger:
            stacks = {"rows": (self.rows, of_rows), "ledger": (self.ledger, of_ledger)}
            # Opened in one order by all: two batches may keep their ledgers in each other's database.
            order = sorted(stacks, key=lambda side: find_place(stacks[side][0]))
            opened = {side: stacks[side][1].enter_context(start(stacks[side][0])) for side in order}
            yield cast("Session", PairedSession(opened["rows"], opened["ledger"]))


def find_place(warehouse: Warehouse) -> str:
    """Name the database that a warehouse leads to, the same whatever way it is written."""
    file: Path | None = getattr(warehouse, "file", None)
    return warehouse.location if file is None else f"file:{file.resolve()}"
