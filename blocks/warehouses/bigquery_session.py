"""A session over BigQuery: its names and literals, its tables, its upsert."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.errors import WarehouseError
from anomflow.frames import OBSERVATIONS, Table
from blocks.warehouses.bigquery_jobs import ROWS, Jobs
from blocks.warehouses.bigquery_lock import name_lock
from blocks.warehouses.bigquery_transaction import BigQueryTransaction
from blocks.warehouses.bigquery_values import COLUMN_TYPES, build_decoding, encode_rows, fits, name_type
from blocks.warehouses.rows import split_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

# https://cloud.google.com/bigquery/docs/tables#table_naming: letters, marks, numbers, connectors, dashes and spaces.
_NAME: Final = re.compile(r"[\w\- ]+")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r"})
_DEFINITION: Final = re.compile(r"\s*(create|alter|drop)\b", re.IGNORECASE)
_TARGET: Final = re.compile(
    r"\s*(?:update|delete\s+from|insert\s+into|merge(?:\s+into)?)\s+((?:`[^`]+`|[\w-]+)(?:\.(?:`[^`]+`|[\w-]+))*)", re.IGNORECASE
)


class BigQuerySession(BigQueryTransaction):
    """A session over BigQuery: tables and columns are made outside its transaction, since BigQuery changes none inside."""

    column_types: ClassVar[Mapping[type[pl.DataType], str]] = COLUMN_TYPES
    has_keys: ClassVar[bool] = False

    def __init__(self, jobs: Jobs, *, writable: bool) -> None:
        super().__init__(jobs, writable=writable)
        self._times: tuple[Any, Any] | None = None
        self._types: dict[str, dict[str, str]] = {}

    def identifier(self, name: str) -> str:
        parts = name.split(".")
        if not all(_NAME.fullmatch(part) for part in parts):
            allowed = "letters, digits, underscores, dashes and spaces, with a dot between project, dataset and table"
            raise WarehouseError(f"{name!r} cannot name a table or column of BigQuery; it takes {allowed}")
        return ".".join(f"`{part}`" for part in parts)

    def read_table(self, table: Table, name: str, where: str = "true") -> pl.DataFrame:
        rows = super().read_table(table, name, where)
        # Rows have no order of time, so the greatest of duplicates is the newest.
        return rows.sort("metric_value", maintain_order=True) if table is OBSERVATIONS else rows

    def ensure_table(self, table: Table, name: str) -> None:
        self._ensure_lock(name_lock(name))
        if self._find_columns(name) is not None:  # who may only write to it may not say "create table if not exists" either
            return
        columns = ", ".join(f"{self.identifier(column)} {self._declare(table, column)}" for column in table.columns)
        timed = " partition by date(metric_timestamp) cluster by metric_batch, metric_type, metric_name"
        layout = timed if table.suffix == OBSERVATIONS.suffix else " cluster by metric_batch"
        self.execute(f"create table if not exists {self.identifier(name)} ({columns}){layout}")

    def execute(self, sql: str) -> int:
        if not _DEFINITION.match(sql):
            if self.writable and (target := _TARGET.match(sql)):
                self._lock(target[1].replace("`", ""))
            return super().execute(sql)
        self._columns.clear()
        self._check_writable()
        with self._breaking():
            self.jobs.run(sql, outside=True)
        return 0

    def _text_literal(self, value: str) -> str:
        super()._text_literal(value)
        return f"'{value.translate(_ESCAPES)}'"

    def _time_literal(self, moment: datetime) -> str:
        return f"timestamp '{moment.year:04}-{moment:%m-%d %H:%M:%S.%f}+00:00'"

    @contextlib.contextmanager
    def _stage(self, rows: pl.DataFrame) -> Iterator[str]:
        self._rows = encode_rows(rows)
        if "metric_timestamp" in rows.columns:
            self._times = (rows["metric_timestamp"].min(), rows["metric_timestamp"].max())
        try:
            yield build_decoding(rows.schema, ROWS, self.identifier)
        finally:
            self._rows = self._times = None

    def _split(self, table: Table, rows: pl.DataFrame) -> Iterable[pl.DataFrame]:
        # Parts of observations are near in time, so that each touches few partitions.
        return split_rows(rows.sort("metric_timestamp") if "metric_timestamp" in table.key else rows)

    def _match_keys(self, table: Table) -> str:
        """Bind the times to those of the rows by literals too: only these prune partitions."""
        return " and ".join([super()._match_keys(table), *self._find_bounds(table)])

    def _delete_staged(self, table: Table, name: str, stage: str) -> str:
        # Outside of the subquery, where they are sure to prune.
        found = f"exists (select 1 from {stage} as s where {super()._match_keys(table)})"
        return f"delete from {self.identifier(name)} as t where {' and '.join([*self._find_bounds(table), found])}"

    def _find_bounds(self, table: Table) -> list[str]:
        if self._times is None or "metric_timestamp" not in table.key:
            return []
        first, last = self._times
        return [f"t.metric_timestamp >= {self.literal(first)}", f"t.metric_timestamp <= {self.literal(last)}"]

    def _add_columns(self, table: Table, name: str, columns: Sequence[str]) -> None:
        for column in columns:
            added = f"{self.identifier(column)} {self._declare(table, column)}"
            self.execute(f"alter table {self.identifier(name)} add column if not exists {added}")
        if columns:
            self._refuse_late(f"table {name!r} was given the columns {', '.join(columns)}")

    def _find_columns(self, name: str) -> Sequence[str] | None:
        self.identifier(name)  # which says what a name may be
        project, _, dataset = self.jobs.place.dataset.rpartition(".")
        missing = [project, dataset][: max(2 - name.count("."), 0)]
        with self._breaking():
            found = self.jobs.find_columns(".".join([*missing, name]))
        self._types[name] = {column.casefold(): name_type(*kind) for column, kind in (found or {}).items()}
        return None if found is None else list(found)

    def _match_columns(self, table: Table, name: str) -> list[str]:
        present = super()._match_columns(table, name)
        self._check_types(table, name, present)
        if self.writable:
            self._add_early(table, name, present)
            self._lock(name)
        return super()._match_columns(table, name)

    def _add_early(self, table: Table, name: str, present: Sequence[str]) -> None:
        """Add what a table made by others lacks before the transaction begins: later would be too late."""
        if not self._is_begun:
            self._add_columns(table, name, [column for column in table.columns if column not in present])

    def _check_types(self, table: Table, name: str, columns: Sequence[str]) -> None:
        found = self._types.get(name, {})
        # A table that is only read may have other numbers and texts, but no times that compare with none of ours.
        checked = [column for column in columns if self.writable or isinstance(table.columns[column], pl.Datetime)]
        wrong = [column for column in checked if column in found and not fits(found[column], table.columns[column])]
        if wrong:
            quoted, kind = self.identifier(wrong[0]), self.column_types[table.columns[wrong[0]].base_type()]
            cast = f"timestamp({quoted})" if kind == "timestamp" else f"cast({quoted} as {kind})"
            copied = f"create table `NEW` as select * replace ({cast} as {quoted}) from {self.identifier(name)}"
            raise self._build_misfit(name, wrong[0], found[wrong[0]], f". Copy the table and name the copy as table_key: {copied}")
