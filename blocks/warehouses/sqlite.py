"""SQLite in one file, over its ADBC driver."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.adbc import AdbcSession
from blocks.warehouses.files import FileWarehouse, describe_refusal, may_write
from blocks.warehouses.locking import build_busy_error, describe_holders
from blocks.warehouses.sqlite_dialect import SQLiteDialect, write_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adbc_driver_manager.dbapi import Connection

    from blocks.warehouses.relational import RelationalSession

_WRITE_AHEAD: Final = b"\2\2"  # bytes 18 and 19 of a file in WAL mode
# What the driver makes of a double in a column that also holds text: six digits, the rest is lost.
_ROUNDED: Final = r"^-?\d\.\d{6}e[+-]\d{2,3}$"


class SQLiteSession(SQLiteDialect, AdbcSession):
    """A session over a file of SQLite."""

    begin_statement: ClassVar[str] = "begin immediate"
    # The driver takes a column's type from its first batch and fails on a later one that differs: one batch, then.
    statement_options: ClassVar[Mapping[str, str]] = {"adbc.sqlite.query.batch_rows": str(2**31 - 2)}

    def __init__(self, connection: Connection, warehouse: SQLiteWarehouse, *, writable: bool) -> None:
        super().__init__(connection, warehouse.location, writable=writable)
        self.warehouse = warehouse

    def confine(self) -> None:
        self._run("pragma query_only = 1")

    def _explain(self, error: Exception) -> Exception:
        words = str(error)
        if "is locked" in words:
            files = [Path(f"{self.warehouse.file}{end}") for end in ("", "-wal", "-shm")]
            return build_busy_error(self.location, self.warehouse.lock_timeout_seconds, describe_holders(files))
        return WarehouseError(describe_refusal(self.location, words))

    def _fetch(self, sql: str) -> pl.DataFrame:
        _check_single(sql, self.location)
        frame = super()._fetch(sql)
        texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
        rounded = [name for name in texts if frame[name].str.contains(_ROUNDED).any()]
        if not rounded:
            return frame
        listed = ", ".join(self._print_exactly(name) if name in rounded else self.identifier(name) for name in frame.columns)
        return super()._fetch(f"select {listed} from ({sql.strip().rstrip(';')})")

    def _print_exactly(self, column: str) -> str:
        quoted = self.identifier(column)
        return f"case typeof({quoted}) when 'real' then printf('%!.17g', {quoted}) else {quoted} end as {quoted}"

    def _change(self, sql: str) -> int:
        # The driver does not report counts; total_changes() does not include what a statement left unchanged.
        _check_single(sql, self.location)
        before = self._count_changes()
        self._run(sql)
        return self._count_changes() - before

    def _count_changes(self) -> int:
        return int(super()._fetch("select total_changes() as n")["n"][0])

    @contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        with super()._stage(write_times(rows)) as stage:
            yield stage


def _check_single(sql: str, location: str) -> None:
    """Refuse several statements in one text: the driver would run the first and drop the rest without a word."""
    if ";" not in sql.rstrip().rstrip(";"):
        return
    from sqlglot import tokenize  # noqa: PLC0415 - only a text with a semicolon needs it

    kinds = [token.token_type.name for token in tokenize(sql, read="sqlite")]
    while kinds and kinds[-1] == "SEMICOLON":
        kinds.pop()
    if "SEMICOLON" in kinds:
        raise WarehouseError(
            f"{location}: the SQL holds several statements and SQLite runs one at a time; keep the one that returns the rows"
        )


class SQLiteWarehouse(FileWarehouse):
    """Keep observations, models' versions and the ledger in one SQLite file.

    A file that Anomflow makes is in WAL mode, so that readers and a writer do not wait for each other; one that exists keeps its mode.
    """

    _block_type_name = "Anomflow SQLite Warehouse"
    _block_type_slug = "anomflow-sqlite-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in one SQLite file."
    _code_example = """
    ```python
    from blocks.warehouses.sqlite import SQLiteWarehouse

    warehouse = SQLiteWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "sqlite"
    dialect: ClassVar[str] = "sqlite"
    file_name: ClassVar[str] = "anomflow.sqlite"
    magic: ClassVar[bytes] = b"SQLite format 3\0"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        file = self._prepare_file(writable=writable)
        self._check_readable(file)
        connection = self._connect(file, "rw" if writable else "ro")
        try:
            session = SQLiteSession(connection, self, writable=writable)
            session._run(f"pragma busy_timeout = {round(self.lock_timeout_seconds * 1000)}")  # noqa: SLF001 - our own session
            yield session
        finally:
            connection.close()

    def _check_readable(self, file: Path) -> None:
        with file.open("rb") as opened:
            write_ahead = opened.read(20)[18:20] == _WRITE_AHEAD
        if write_ahead and not may_write(file.parent):
            raise WarehouseError(
                f"{self.location} is in WAL mode and its folder is read-only, and SQLite must make files beside it even to read; "
                "allow writing to the folder, or change the file with: pragma journal_mode = delete"
            )

    def _is_ours(self, head: bytes) -> bool:
        return not head or super()._is_ours(head)  # an empty file is an empty SQLite database

    def _make_empty(self, file: Path) -> None:
        connection = self._connect(file, "rwc")
        try:
            session = SQLiteSession(connection, self, writable=True)
            session._fetch("pragma journal_mode = wal")  # noqa: SLF001 - our own session
        finally:
            connection.close()

    def _connect(self, file: Path, mode: str) -> Connection:
        import adbc_driver_sqlite.dbapi as driver  # noqa: PLC0415 - the driver loads when it is used

        try:
            return driver.connect(f"file:{quote(str(file.absolute()))}?mode={mode}", autocommit=True)
        except driver.Error as error:
            raise WarehouseError(f"{self.location} cannot be opened: {error}") from error
