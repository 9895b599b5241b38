"""SQLite in one file, over its ADBC driver."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

import polars as pl

from anomflow.errors import WarehouseError
from anomflow.frames import UTC, Table
from blocks.warehouses.adbc import AdbcSession
from blocks.warehouses.files import FileWarehouse, describe_refusal, may_write
from blocks.warehouses.locking import build_busy_error, describe_holders

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from adbc_driver_manager.dbapi import Connection

    from blocks.warehouses.relational import RelationalSession

_CANONICAL_GLOB: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]." + "[0-9]" * 6
_WRITE_AHEAD: Final = b"\2\2"  # bytes 18 and 19 of a file in WAL mode
# What the driver makes of a double in a column that also holds text: six digits, the rest is lost.
_ROUNDED: Final = r"^-?\d\.\d{6}e[+-]\d{2,3}$"


class SQLiteSession(AdbcSession):
    """A session over SQLite, which has no type for times: they are text ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC.

    That form sorts and compares as the times do. Times of a table made by others in another form of ISO 8601 (naive is UTC)
    are brought into it by the first write of a session.
    """

    dialect: ClassVar[str] = "sqlite"
    column_types: ClassVar[Mapping[type[pl.DataType], str]] = {
        pl.Datetime: "text",
        pl.String: "text",
        pl.Int64: "integer",
        pl.Float64: "real",
        pl.Boolean: "integer",
    }
    row_id: ClassVar[str] = "rowid"
    begin_statement: ClassVar[str] = "begin immediate"
    # The driver takes a column's type from its first batch and fails on a later one that differs: one batch, then.
    statement_options: ClassVar[Mapping[str, str]] = {"adbc.sqlite.query.batch_rows": str(2**31 - 2)}

    def __init__(self, connection: Connection, warehouse: SQLiteWarehouse, *, writable: bool) -> None:
        super().__init__(connection, warehouse.location, writable=writable)
        self.warehouse = warehouse
        self._canonical: set[str] = set()

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
        times = [name for name, dtype in rows.schema.items() if dtype == UTC]
        with super()._stage(rows.with_columns(pl.col(times).dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))) as stage:
            yield stage

    def _delete_staged(self, table: Table, name: str, stage: str) -> str:
        # From the few staged rows through the index of the table, not the other way round.
        target = self.identifier(name)
        found = f"select t.rowid from {stage} as s cross join {target} as t where {self._match_keys(table)}"
        return f"delete from {target} where rowid in ({found})"

    def _find_columns(self, name: str) -> Sequence[str] | None:
        table, schema = ([*reversed(name.split(".")), "main"])[:2]
        found = super()._fetch(f"select name from pragma_table_info({self.literal(table)}, {self.literal(schema)})")
        return found["name"].cast(pl.String).to_list() or None

    def _match_columns(self, table: Table, name: str) -> list[str]:
        present = super()._match_columns(table, name)
        if self.writable and name not in self._canonical:
            self._canonical.add(name)
            self._canonicalize(name, [column for column in present if table.columns[column] == UTC])
        return present

    def _canonicalize(self, name: str, columns: Sequence[str]) -> None:
        if self._is_canonical(name):
            return
        for column in (self.identifier(column) for column in columns):
            self._run(
                f"update {self.identifier(name)} set {column} = coalesce({_build_canonical(column)}, {column}) "
                f"where typeof({column}) = 'text' and {column} not glob '{_CANONICAL_GLOB}'"
            )

    def _is_canonical(self, name: str) -> bool:
        table, schema = ([*reversed(name.split(".")), "main"])[:2]
        made = super()._fetch(f"select sql from {self.identifier(schema or 'main')}.sqlite_master where name = {self.literal(table)}")
        return made.height > 0 and _CANONICAL_GLOB in str(made["sql"][0])

    def _declare(self, table: Table, column: str) -> str:
        declared = super()._declare(table, column)
        return f"{declared} check ({self.identifier(column)} glob '{_CANONICAL_GLOB}')" if table.columns[column] == UTC else declared

    def _time_literal(self, moment: datetime) -> str:
        return f"'{moment:%Y-%m-%d %H:%M:%S.%f}'"


def _build_canonical(column: str) -> str:
    """Build SQL that turns ISO text of any form into the canonical one, null where it is no time."""
    zone = f"ltrim(substr({column}, 20), '.0123456789')"
    fraction = f"case substr({column}, 20, 1) when '.' then substr({column}, 21, length({column}) - 20 - length({zone})) else '' end"
    return f"strftime('%Y-%m-%d %H:%M:%S', substr({column}, 1, 19) || {zone}) || '.' || substr(({fraction}) || '000000', 1, 6)"


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
