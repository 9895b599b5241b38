"""DuckDB in one file, the embedded default.

Through DuckDB's own Python interface, not its ADBC driver: that driver opens a second, independent instance of a file which
this process has open already (seen with 1.5.6: neither sees the other's rows, and closing one drops the file lock of both),
where the Python interface shares one instance.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from anomflow.errors import WarehouseError
from blocks.warehouses.duckdb_session import DuckDBSession
from blocks.warehouses.files import FileWarehouse, describe_refusal
from blocks.warehouses.locking import Wait, describe_process, hold_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from blocks.warehouses.relational import RelationalSession

_HOLDER = re.compile(r"\(PID (\d+)\)")


class DuckDBWarehouse(FileWarehouse):
    """Keep observations, models' versions and the ledger in one DuckDB file.

    One process at a time may write the file: a session opens it late, closes it early and waits for others.
    Sessions of Anomflow queue up on a lock file beside it, because DuckDB's own lock alone was seen to lose
    committed rows of several processes (2.0.0).
    """

    _block_type_name = "Anomflow DuckDB Warehouse"
    _block_type_slug = "anomflow-duckdb-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in one DuckDB file."
    _code_example = """
    ```python
    from blocks.warehouses.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "duckdb"
    dialect: ClassVar[str] = "duckdb"
    file_name: ClassVar[str] = "anomflow.duckdb"
    magic: ClassVar[bytes] = b"DUCK"
    magic_offset: ClassVar[int] = 8

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        file = self._prepare_file(writable=writable)
        wait = Wait(self.location, self.lock_timeout_seconds)
        with hold_lock(file, exclusive=writable, wait=wait):
            connection = self._connect(file, wait, writable=writable)
            try:
                yield DuckDBSession(connection, self.location, writable=writable)
            finally:
                connection.close()

    def _make_empty(self, file: Path) -> None:
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        try:
            duckdb.connect(str(file)).close()
        except duckdb.Error as error:
            raise WarehouseError(describe_refusal(self.location, str(error))) from error

    def _connect(self, file: Path, wait: Wait, *, writable: bool) -> DuckDBPyConnection:
        """Open the file, as soon as programs that know nothing of our lock file (a shell, a notebook) let it go."""
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        while True:
            try:
                return _connect_once(file, writable=writable)
            except duckdb.ConnectionException as error:
                holder = f"another connection of this process with other settings ({error})"
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise WarehouseError(describe_refusal(self.location, str(error))) from error
                pid = _HOLDER.search(str(error))
                holder = describe_process(int(pid[1])) if pid else "another process"
            except duckdb.Error as error:
                raise WarehouseError(describe_refusal(self.location, str(error))) from error
            wait.pause(holder)


def _connect_once(file: Path, *, writable: bool) -> DuckDBPyConnection:
    import duckdb  # noqa: PLC0415 - the driver loads when it is used

    if writable:
        return duckdb.connect(str(file))
    try:
        return duckdb.connect(str(file), read_only=True)
    except duckdb.ConnectionException:
        # This process has it open for writing, outside our sessions: join that instance, the transaction is read only.
        return duckdb.connect(str(file))
