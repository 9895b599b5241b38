"""What the core and the tasks ask of a warehouse, a model store, a notifier and a clock."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import polars as pl

    from anomflow.frames import Table
    from anomflow.messages import Message


class Session(Protocol):
    """One open connection with one transaction: committed when its context ends, undone when it raises.

    SQL is in the engine's own dialect (``anomflow.sql.translate`` makes it). Timestamps are UTC with microseconds.
    """

    @property
    def dialect(self) -> str:
        """Name the engine's dialect as sqlglot does."""
        ...

    @property
    def tie_break(self) -> str:
        """Name the SQL expression that orders duplicates of a key from old to new (a row id, else the value)."""
        ...

    @property
    def ledger(self) -> Session:
        """Return the session that the ledger's tables lie in: this one, or that of the database ``ledger_db``."""
        ...

    def read(self, sql: str) -> pl.DataFrame:
        """Run a query and return its rows; times come as ``Datetime('us', 'UTC')`` where the engine has a type for them."""
        ...

    def confine(self) -> None:
        """Give up files, network and extensions, before SQL of a person is run in a session for reading."""
        ...

    def read_table(self, table: Table, name: str, where: str = "true") -> pl.DataFrame:
        """Read all columns of one of our tables, cast to its declared types; ``where`` is SQL built with ``literal``."""
        ...

    def execute(self, sql: str) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    def ensure_table(self, table: Table, name: str) -> None:
        """Create a table that does not exist yet; leave one that does (also one made by others) as it is."""
        ...

    def find_missing(self, table: Table, name: str) -> Sequence[str]:
        """Return the columns of ours that a table lacks; raise MissingTableError where there is no such table."""
        ...

    def ensure_columns(self, table: Table, name: str) -> None:
        """Add the columns of ours that a table lacks, as one made by an earlier version does."""
        ...

    def upsert(self, table: Table, name: str, rows: pl.DataFrame) -> None:
        """Write rows by the table's key; each replaces every row of that key, the last of equal keys in ``rows`` wins."""
        ...

    def insert_missing(self, table: Table, name: str, rows: pl.DataFrame) -> int:
        """Insert the rows whose key is not there yet and return how many these were."""
        ...

    def delete_keys(self, table: Table, name: str, keys: pl.DataFrame) -> int:
        """Delete the rows whose key columns equal a row of ``keys`` and return how many these were."""
        ...

    def literal(self, value: object) -> str:
        """Render a text, number, boolean, None or UTC datetime as SQL of this engine."""
        ...

    def identifier(self, name: str) -> str:
        """Quote a (possibly dotted) name of a table or column."""
        ...


class Warehouse(Protocol):
    """A database that holds the tables of DESIGN 4 or serves queries of ingest."""

    @property
    def dialect(self) -> str:
        """Name the engine's dialect as sqlglot does."""
        ...

    @property
    def location(self) -> str:
        """Name the place for messages, without secrets (``duckdb:.anomflow/anomflow.duckdb``)."""
        ...

    @property
    def rows(self) -> Warehouse:
        """Return the warehouse of observations and models' versions alone: this one, where the ledger is not kept apart."""
        ...

    @property
    def ledger(self) -> Warehouse:
        """Return the warehouse of the ledger alone: this one, where the ledger is not kept apart."""
        ...

    def reading(self) -> AbstractContextManager[Session]:
        """Open a session for reading; a database that does not exist yet reads as empty only where the engine creates it."""
        ...

    def writing(self) -> AbstractContextManager[Session]:
        """Open a session whose statements become visible together, or not at all.

        Where the ledger is kept apart, its own do so before the others, which an error or a crash in between undoes.
        """
        ...


class ModelStore(Protocol):
    """Immutable objects by name."""

    @property
    def location(self) -> str:
        """Name the place for messages, without secrets."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Store an object so that it is there whole or not at all; the same name always has the same content."""
        ...

    def read(self, name: str) -> bytes:
        """Return an object's bytes; raise MissingModelError where there is none."""
        ...

    def names(self, folder: str = "") -> Sequence[str]:
        """List the names of all objects, or of those in a folder (``a/b`` is in ``a``), sorted."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...


class Notifier(Protocol):
    """A channel that delivers messages."""

    @property
    def send_seconds(self) -> float:
        """Bound how long one ``send`` can take, tries included; the lease of a claim is longer."""
        ...

    def send(self, message: Message) -> str | None:
        """Return when the channel accepted the message, with what it did not take of it; None where it took all.

        Raises RetryableDeliveryError or RefusedDeliveryError where it did not accept the message.
        """
        ...


@runtime_checkable
class Reachable(Protocol):
    """A channel that can tell whether it would be taken messages from, without sending one."""

    def check_access(self) -> str:
        """Return in words what was reached; raise DeliveryError where it is not there or does not know us."""
        ...


@runtime_checkable
class Resolving(Protocol):
    """A channel where a message opens an incident, which it can end."""

    @property
    def resolve(self) -> bool:
        """Tell whether it is to end incidents when their alerts are resolved."""
        ...

    def send_resolution(self, message_id: str) -> None:
        """Return when the channel accepted that the incident of a message is over, or that there is none (any more).

        Raises RetryableDeliveryError or RefusedDeliveryError where it did not accept it.
        """
        ...


class Clock(Protocol):
    """The time of claims, back-off and ``sent_at``; judgement uses ``as_of`` instead."""

    def now(self) -> datetime:
        """Return the current time, zoned UTC."""
        ...


class SystemClock:
    """Tell the machine's time."""

    def now(self) -> datetime:
        """Return the current time, zoned UTC."""
        return datetime.now(UTC)
