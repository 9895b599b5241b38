"""Read what batches left in their warehouses: each batch on its own, so that a broken one is a row that says so.

Nothing is made or changed: a database that does not exist yet reads as one without tables. No job is imported.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from anomflow.batches import Batch, Loaded
    from anomflow.frames import Table
    from anomflow.protocols import Session, Warehouse
    from anomflow.sql import Query
    from cli.output import Output

T = TypeVar("T")
Busy = dict[tuple[str, str | None], str]  # what is wrong with databases by the settings that name them


@dataclass(frozen=True)
class Ledgers:
    """A batch's tables in open sessions: of its rows, and of its ledger; None where the database does not exist yet."""

    batch: Batch
    rows: Session | None
    ledger: Session | None

    def find_session(self, table: Table) -> Session | None:
        """Return the session that a table lies in."""
        from anomflow.frames import LEDGER  # noqa: PLC0415 - commands are quick to say what is wrong with their words

        return self.ledger if table in LEDGER else self.rows

    def read(self, table: Table, where: Callable[[Session], str]) -> pl.DataFrame:
        """Read the rows of a table; none where there is no such table yet."""
        import polars as pl  # noqa: PLC0415 - as above

        session = self.find_session(table)
        if session is None or not self.has(table):
            return pl.DataFrame(schema=table.columns)
        return session.read_table(table, table.name(self.batch.spec.common.table_key), where(session))

    def has(self, table: Table) -> bool:
        """Tell whether a table is there; raises WarehouseError where it is none of ours."""
        from anomflow.errors import MissingTableError  # noqa: PLC0415 - as above

        session = self.find_session(table)
        if session is None:
            return False
        try:
            session.read_table(table, table.name(self.batch.spec.common.table_key), "1 = 0")
        except MissingTableError:
            return False
        return True

    def query(self, query: Query, **variables: object) -> pl.DataFrame | None:
        """Run one of our queries over the batch's rows; None where there is no table yet."""
        from anomflow.frames import OBSERVATIONS  # noqa: PLC0415 - as above
        from anomflow.reading import read_query  # noqa: PLC0415 - as above

        if self.rows is None or not self.has(OBSERVATIONS):
            return None
        return read_query(self.rows, self.batch, query, variables)

    def of_batch(self, session: Session) -> str:
        """Render the condition that a row is the batch's."""
        return f"{session.identifier('metric_batch')} = {session.literal(self.batch.name)}"

    def count(self, table: Table, column: str, since: tuple[str, datetime] | None = None) -> dict[str, int]:
        """Count the batch's rows by the values of a column, those since a time in another."""
        session = self.find_session(table)
        if session is None or not self.has(table):
            return {}
        quoted, name = session.identifier(column), session.identifier(table.name(self.batch.spec.common.table_key))
        later = f" and {session.identifier(since[0])} >= {session.literal(since[1])}" if since else ""
        sql = f"select {quoted} as word, count(*) as n from {name} where {self.of_batch(session)}{later} group by {quoted}"
        return {str(word): int(n) for word, n in sorted(session.read(sql).select("word", "n").rows())}

    def newest(self, table: Table, column: str) -> datetime | None:
        """Return the newest time in a column of the batch's rows."""
        from anomflow.conform import conform_times  # noqa: PLC0415 - as above

        session = self.find_session(table)
        if session is None or not self.has(table):
            return None
        quoted, name = session.identifier(column), session.identifier(table.name(self.batch.spec.common.table_key))
        found = session.read(f"select max({quoted}) as newest from {name} where {self.of_batch(session)}")
        moment: datetime | None = conform_times(found, also=["newest"])["newest"][0]
        return moment


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What a batch had to tell, or why it could not."""

    name: str
    path: Path
    batch: Batch | None
    value: T | None = None
    problem: str | None = None


def read_batches(output: Output, names: Sequence[str], read: Callable[[Ledgers], T]) -> list[Reading[T]]:
    """Read from each batch (none named: all), in the order of their names; raises typer.BadParameter for unknown names."""
    loaded, files = load_named(output, names)
    busy: Busy = {}
    return [_read_one(name, files[name], loaded, read, busy) for name in (dict.fromkeys(names) or sorted(files))]


def load_named(output: Output, names: Sequence[str]) -> tuple[Loaded, Mapping[str, Path]]:
    """Load all batches, right or wrong; complain of names that are none, and of a wrong folder."""
    from anomflow.batches import find_names, load_batches  # noqa: PLC0415 - `--help` need not wait for it
    from anomflow.batches.suggestions import suggest  # noqa: PLC0415 - as above
    from anomflow.errors import SettingsError  # noqa: PLC0415 - as above

    loaded, files = load_batches(output.metrics, output.environ), find_names(output.metrics)
    if not files and loaded.errors:
        raise SettingsError(loaded.errors)
    for name in names:
        if name not in files:
            known = ", ".join(sorted(files)) or "none"
            raise typer.BadParameter(f"there is no batch {name!r}.{suggest(name, list(files), 0.6)} Batches: {known}", param_hint="BATCH")
    return loaded, files


def _read_one(name: str, path: Path, loaded: Loaded, read: Callable[[Ledgers], T], busy: Busy) -> Reading[T]:
    """Read from one batch; a database that cannot be opened is tried once, since waiting for its lock takes a minute."""
    from anomflow.errors import AnomflowError, WarehouseBusyError  # noqa: PLC0415 - as above

    batch = loaded.batches.get(name)
    if batch is None:
        return Reading(name, path, None, problem=_find_problem(path, loaded))
    places = (batch.spec.common.db, batch.spec.common.ledger_db)
    if places in busy:
        return Reading(name, path, batch, problem=busy[places])
    try:
        return Reading(name, path, batch, _read_open(batch, read))
    except AnomflowError as error:
        if isinstance(error, WarehouseBusyError):
            busy[places] = str(error)
        return Reading(name, path, batch, problem=" ".join(str(error).split()))


def _find_problem(path: Path, loaded: Loaded) -> str:
    """Say what is wrong with a batch's file; with the shared settings where nothing is wrong with its own."""
    own = [problem for problem in loaded.errors if problem.where == path.as_posix()]
    found = own or loaded.errors
    more = f" (and {len(found) - 1} more: anomflow validate)" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else f"{path.as_posix()}: cannot be loaded; see anomflow validate"


def read_batch(output: Output, name: str, read: Callable[[Ledgers], T], overrides: Mapping[str, str] | None = None) -> T:
    """Read from one batch; raises SettingsError where its settings are wrong, AnomflowError where its warehouse is."""
    from anomflow.batches import load_batch  # noqa: PLC0415 - as above

    return _read_open(load_batch(output.metrics, name, output.environ, overrides), read)


def _read_open(batch: Batch, read: Callable[[Ledgers], T]) -> T:
    warehouse = open_warehouse(batch)
    has_rows, has_ledger = exists(warehouse.rows), exists(warehouse.ledger)
    if not (has_rows or has_ledger):
        return read(Ledgers(batch, None, None))
    there = warehouse if has_rows and has_ledger else warehouse.rows if has_rows else warehouse.ledger
    with there.reading() as session:
        return read(Ledgers(batch, session if has_rows else None, session.ledger if has_ledger else None))


def open_warehouse(batch: Batch) -> Warehouse:
    """Load the warehouse that a batch names, with that of its ledger; raises WarehouseError where there is none."""
    from blocks.home import find_home  # noqa: PLC0415 - as above
    from blocks.loading import EMBEDDED, load_batch_warehouse  # noqa: PLC0415 - as above
    from cli.prefect_api import prefect_api  # noqa: PLC0415 - as above

    common = batch.spec.common
    is_plain = {common.db.strip(), (common.ledger_db or common.db).strip()} <= EMBEDDED.keys()
    with nullcontext() if is_plain else prefect_api(quiet=True):
        return load_batch_warehouse(common, find_home())


def exists(warehouse: Warehouse) -> bool:
    """Tell whether there is anything to read: a database that is a file is made by the first job, not by a look at it."""
    file: Path | None = getattr(warehouse, "file", None)
    return file is None or file.exists()
