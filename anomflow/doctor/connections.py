"""What batches are connected to, each once, with the batches that need it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from anomflow.batches import Batch

Role = Literal["warehouse", "source", "store", "channel"]


@dataclass(frozen=True)
class Connection:
    """A warehouse, a source of ingest, a model store or a channel by the name that settings hold.

    ``place`` is the schema of a warehouse's tables (empty: its own default one).
    """

    role: Role
    ref: str
    place: str
    batches: tuple[str, ...]


def find_connections(batches: Iterable[Batch]) -> list[Connection]:
    """List what batches are connected to: by role, then by name."""
    users: dict[tuple[Role, str, str], list[str]] = {}
    for batch in batches:
        for found in _find_of(batch):
            users.setdefault(found, []).append(batch.name)
    roles: tuple[Role, ...] = ("warehouse", "source", "store", "channel")
    return [Connection(*key, tuple(users[key])) for key in sorted(users, key=lambda key: (roles.index(key[0]), *key[1:]))]


def _find_of(batch: Batch) -> Iterator[tuple[Role, str, str]]:
    spec = batch.spec
    yield "warehouse", spec.common.db, spec.common.table_key.rpartition(".")[0]
    if spec.common.has_ledger_apart:
        yield "warehouse", str(spec.common.ledger_db), ""
    if spec.ingest.ingest_db and spec.ingest.ingest_db != spec.common.db:
        yield "source", spec.ingest.ingest_db, ""
    yield "store", spec.models.model_path, ""
    for name in dict.fromkeys(spec.alert.alert_methods):
        yield "channel", name, ""
