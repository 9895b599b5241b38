"""What the warehouse blocks share: a session for reading is undone, one for writing committed whole or not at all."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, ClassVar, Self

from prefect.blocks.core import Block

from anomflow.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blocks.warehouses.relational import RelationalSession


class RelationalWarehouse(Block):
    """Be the base of the warehouse blocks; a class with a ``kind`` is an engine."""

    kind: ClassVar[str] = ""
    dialect: ClassVar[str] = ""

    @property
    def location(self) -> str:
        raise NotImplementedError

    @property
    def rows(self) -> Self:
        return self

    @property
    def ledger(self) -> Self:
        return self

    def _open(self, *, writable: bool) -> AbstractContextManager[RelationalSession]:
        """Connect, and close when the context ends."""
        raise NotImplementedError

    @contextmanager
    def reading(self) -> Iterator[RelationalSession]:
        with self._open(writable=False) as session:
            session.begin()
            try:
                yield session
            finally:
                session.rollback()

    @contextmanager
    def writing(self) -> Iterator[RelationalSession]:
        with self._open(writable=True) as session:
            session.begin()
            try:
                yield session
                commit_whole(session)
            except BaseException:
                session.rollback()
                raise


def commit_whole(session: RelationalSession) -> None:
    """Commit a session none of whose statements failed.

    Raises WarehouseError where one did and its error was caught: some engines would keep the other half.
    """
    if session.broken:
        raise WarehouseError(f"{session.location}: a statement of this session had failed, so all of it was undone")
    session.commit()
