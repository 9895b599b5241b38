"""A ClickHouse server as a session uses it: queries, statements, rows, with its settings and in our errors."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from blocks.warehouses.clickhouse_errors import explain_failure
from blocks.warehouses.clickhouse_values import build_frame, encode_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from blocks.warehouses.server import LeaseLimits

_WRITING: Final[Mapping[str, object]] = {
    "async_insert": 0,
    "insert_deduplicate": 0,  # a row that was deleted and comes again is no repetition
    "lightweight_deletes_sync": 2,
    "mutations_sync": 2,
    "max_insert_threads": 1,
    "max_partitions_per_insert_block": 0,  # a first run may bring many years
    "select_sequential_consistency": 1,
}


@dataclass(frozen=True)
class Server:
    """A client of a server, the database of names without one, limits; ``writable`` tells what kind of session asks."""

    client: Any
    location: str
    database: str
    limits: LeaseLimits
    writable: bool
    is_confined: bool = False  # to tables: no files and no network, and no settings in a query

    @property
    def seconds(self) -> float:
        """Return how long a statement may take: of a writer, well less than others wait for a sign of life of it."""
        if self.writable:
            return min(self.limits.statement_seconds, self.limits.lease_seconds / 2)
        return self.limits.statement_seconds

    def fetch(self, sql: str) -> pl.DataFrame:
        """Run one query."""
        plain = sql.strip().rstrip(";")
        with self._explaining(plain):
            fetched = self.client.raw_query(plain, fmt="ArrowStream", settings=self.choose_settings())
        return build_frame(fetched, lambda: self._find_types(plain), self.location)

    def run(self, sql: str) -> None:
        """Run one statement."""
        with self._explaining(sql):
            self.client.command(sql, settings=self.choose_settings())

    def insert(self, quoted: str, rows: pl.DataFrame) -> None:
        """Insert rows into a table by its quoted name."""
        with self._explaining(f"insert into {quoted}"):
            settings = self.choose_settings()
            self.client.raw_insert(quoted, rows.columns, insert_block=encode_rows(rows), settings=settings, fmt="ArrowStream")

    def choose_settings(self) -> dict[str, object]:
        """Return the settings of a statement, but for those that this user may not change."""
        wanted = _WRITING if self.writable else {"readonly": 1 if self.is_confined else 2}
        known = self.client.server_settings
        is_free = "readonly" not in known or known["readonly"].value == "0"  # else the user cannot write, or set that
        settings = {"max_execution_time": self.seconds, **{name: value for name, value in wanted.items() if is_free or name != "readonly"}}
        return {name: value for name, value in settings.items() if name not in known or not known[name].readonly}

    def _find_types(self, sql: str) -> dict[str, str]:
        with self._explaining(sql):
            described = self.client.raw_query(f"describe ({sql}\n)", fmt="ArrowStream", settings=self.choose_settings())
        found = build_frame(described, dict, self.location)
        return dict(found.select("name", "type").iter_rows())

    @contextmanager
    def _explaining(self, sql: str) -> Iterator[None]:
        from clickhouse_connect.driver.exceptions import Error  # noqa: PLC0415 - the driver is loaded, for there is a client

        try:
            yield
        except Error as error:
            raise explain_failure(error, sql, self.location, self.limits) from error
