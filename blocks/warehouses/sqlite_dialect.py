"""What SQLite is in a file and behind a server of libSQL: its types, the text form of its times, its statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from anomflow.frames import UTC, Table
from blocks.warehouses.relational import RelationalSession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_CANONICAL_GLOB: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]." + "[0-9]" * 6


class SQLiteDialect(RelationalSession):
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

    def __init__(self, *place: Any, writable: bool) -> None:
        super().__init__(*place, writable=writable)
        self._canonical: set[str] = set()

    def _delete_staged(self, table: Table, name: str, stage: str) -> str:
        # From the few staged rows through the index of the table, not the other way round.
        target = self.identifier(name)
        found = f"select t.rowid from {stage} as s cross join {target} as t where {self._match_keys(table)}"
        return f"delete from {target} where rowid in ({found})"

    def _find_columns(self, name: str) -> Sequence[str] | None:
        table, schema = ([*reversed(name.split(".")), "main"])[:2]
        found = self._fetch(f"select name from pragma_table_info({self.literal(table)}, {self.literal(schema)})")
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
            self._change(
                f"update {self.identifier(name)} set {column} = coalesce({_build_canonical(column)}, {column}) "
                f"where typeof({column}) = 'text' and {column} not glob '{_CANONICAL_GLOB}'"
            )

    def _is_canonical(self, name: str) -> bool:
        table, schema = ([*reversed(name.split(".")), "main"])[:2]
        made = self._fetch(f"select sql from {self.identifier(schema or 'main')}.sqlite_master where name = {self.literal(table)}")
        return made.height > 0 and _CANONICAL_GLOB in str(made["sql"][0])

    def _declare(self, table: Table, column: str) -> str:
        declared = super()._declare(table, column)
        return f"{declared} check ({self.identifier(column)} glob '{_CANONICAL_GLOB}')" if table.columns[column] == UTC else declared

    def _time_literal(self, moment: datetime) -> str:
        return f"'{moment:%Y-%m-%d %H:%M:%S.%f}'"


def write_times(rows: pl.DataFrame) -> pl.DataFrame:
    """Write times in the text form that SQLite keeps."""
    times = [name for name, dtype in rows.schema.items() if dtype == UTC]
    return rows.with_columns(pl.col(times).dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))


def _build_canonical(column: str) -> str:
    """Build SQL that turns ISO text of any form into the canonical one, null where it is no time."""
    zone = f"ltrim(substr({column}, 20), '.0123456789')"
    fraction = f"case substr({column}, 20, 1) when '.' then substr({column}, 21, length({column}) - 20 - length({zone})) else '' end"
    return f"strftime('%Y-%m-%d %H:%M:%S', substr({column}, 1, 19) || {zone}) || '.' || substr(({fraction}) || '000000', 1, 6)"
