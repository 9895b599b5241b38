"""How a session over ClickHouse, which has no transactions, makes its changes visible whole or not at all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from anomflow.errors import WarehouseError
from anomflow.frames import Table, find_table_key
from blocks.warehouses.clickhouse_lease import COMMITTING, Lease
from blocks.warehouses.clickhouse_pending import Pending, read_note, render_note
from blocks.warehouses.relational import RelationalSession

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from blocks.warehouses.clickhouse_server import Server


class ClickHouseTransaction(RelationalSession):
    """What a session changes waits in tables of its own, where only its own queries see it.

    Its commit is one row, which says so; then each table is changed in turn, by this session or, where it dies, by the next that
    writes. Writers of the tables of one table key come one after another.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server.location, writable=server.writable)
        self.server = server
        self._leases: dict[str, Lease] = {}
        self._pendings: dict[str, Pending] = {}
        self._known: dict[str, Table] = {}
        self._types: dict[str, dict[str, str]] = {}
        self._step = 0

    def begin(self) -> None:
        """Do nothing: a writer waits for others when it first looks at a table."""

    def commit(self) -> None:
        for family, lease in self._leases.items():
            pendings = [pending for name, pending in self._pendings.items() if self._find_family(name) == family]
            if pendings:
                lease.begin_commit(render_note(pendings))
                self._publish(lease, pendings)
        self._end()

    def rollback(self) -> None:
        with contextlib.suppress(Exception):  # what is left is dropped, or carried out whole, by the next session that writes
            for lease in self._leases.values():
                lease.cancel_commit()
            self._end()

    def _end(self) -> None:
        leases, pendings = list(self._leases.values()), list(self._pendings.values())
        self._leases, self._pendings = {}, {}
        for pending in pendings:
            self.server.run(pending.drop)
        for lease in leases:
            lease.release()

    def _publish(self, lease: Lease, pendings: Sequence[Pending]) -> None:
        try:
            for pending in pendings:
                self._carry_out(lease, pending)
        except BaseException:
            self._leases.pop(self._find_family(pendings[0].table.replace("`", "")), None)
            with contextlib.suppress(Exception):
                lease.abandon_commit()
            self._pendings = {name: pending for name, pending in self._pendings.items() if pending not in pendings}
            raise

    def _carry_out(self, lease: Lease, pending: Pending) -> None:
        delete, insert = pending.publish()
        lease.renew()
        if not self.server.fetch(pending.find_old).is_empty():
            self.server.run(delete)
        lease.renew()
        self.server.run(insert)

    def _ask(self, sql: str) -> pl.DataFrame:
        self._renew()
        with self._breaking():
            return self.server.fetch(sql)

    def _run(self, sql: str) -> None:
        self._renew()
        with self._breaking():
            self.server.run(sql)

    def _renew(self) -> None:
        with self._breaking():
            for lease in self._leases.values():
                lease.renew()

    @contextlib.contextmanager
    def _breaking(self) -> Iterator[None]:
        try:
            yield
        except WarehouseError:
            self.broken = True
            raise

    def _qualify(self, name: str) -> str:
        return name if "." in name else f"{self.server.database}.{name}"

    def _find_family(self, name: str) -> str:
        """Return the table key of a table, with its database."""
        return self._qualify(find_table_key(name))

    def _lock(self, name: str) -> None:
        """Wait until no other session writes the tables of this table key; carry out what a dead one was to commit."""
        family = self._find_family(name)
        if family in self._leases:
            return
        lease = Lease(self.server, self.identifier(f"{family}_lock"), self.literal)
        with self._breaking():
            dead = lease.acquire()
            self._leases[family] = lease
            for holder in dead:
                left = read_note(holder.note) if holder.state == COMMITTING else []
                for pending in left:
                    if self._is_there(pending.place) and self._is_there(pending.table):
                        self._carry_out(lease, pending)
                self._drop_left(family, holder.id)
                lease.bury(holder)

    def _is_there(self, quoted: str) -> bool:
        return self._find_columns(quoted.replace("`", "")) is not None

    def _drop_left(self, family: str, holder: str) -> None:
        database, _, key = family.partition(".")
        start = self.literal(f"{key}_pending_{holder}_")
        query = f"select name from system.tables where database = {self.literal(database)} and startsWith(name, {start})"
        for name in self._ask(query)["name"]:
            self.server.run(f"drop table if exists {self.identifier(f'{database}.{name}')}")

    def _find_pending(self, name: str) -> Pending:
        """Return where the changes of a table wait; make it the first time."""
        qualified = self._qualify(name)
        if qualified not in self._pendings:
            family = self._find_family(name)
            place = self.identifier(f"{family}_pending_{self._leases[family].id}_{len(self._pendings)}")
            pending = self._build_pending(name, place)
            self._run(pending.create)
            self._pendings[qualified] = pending
        return self._pendings[qualified]

    def _build_pending(self, name: str, place: str) -> Pending:
        columns = tuple(self.identifier(column) for column in self._types[name])
        key = tuple(self.identifier(column) for column in self._known[name].key)
        return Pending(self.identifier(self._qualify(name)), place, columns, key)
