"""Rows into Snowflake as one text of JSON and out of it as Arrow; which types fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMN_TYPES: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: "timestamp_ltz(6)",
    pl.String: "varchar",
    pl.Int64: "number(38,0)",
    pl.Float64: "double",
    pl.Boolean: "boolean",
}
# What a column made by others may be, in the words of DESCRIBE.
_FITTING: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: r"TIMESTAMP_(LTZ|NTZ|TZ)(\([6-9]\))?",
    pl.String: r"(VARCHAR|STRING|TEXT)(\(\d+\))?",
    pl.Int64: r"NUMBER\((19|[23]\d),0\)",
    pl.Float64: r"FLOAT|DOUBLE|REAL",
    pl.Boolean: r"BOOLEAN",
}
_PLAIN: Final = re.compile(r"[A-Z_][A-Z0-9_$]*")
_INT64: Final = (-(2**63), 2**63 - 1)


def fits(kind: str, dtype: pl.DataType) -> bool:
    """Tell whether values of one of our types come back from a column as they were written."""
    return re.fullmatch(_FITTING[dtype.base_type()], kind, re.IGNORECASE) is not None


def render_rows(rows: pl.DataFrame) -> str:
    """Write rows as a JSON array of objects whose values are texts or null, exact to the last digit; columns are c0, c1 and so on."""
    texts = rows.select(_render_column(rows[name]).alias(f"c{place}") for place, name in enumerate(rows.columns))
    objects = texts.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    return f"[{','.join(objects.to_list())}]"


def _render_column(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.to_string("%Y-%m-%d %H:%M:%S%.6f+00:00")
    return column.cast(pl.String)


def build_source(columns: Sequence[str], dtypes: Sequence[pl.DataType]) -> str:
    """Build the query that reads what ``render_rows`` wrote from the statement's one parameter; columns come quoted."""
    # By way of text, for only so does a null of JSON become one of SQL.
    listed = ", ".join(
        f"f.value:c{place}::varchar::{COLUMN_TYPES[dtype.base_type()]} as {column}"
        for place, (column, dtype) in enumerate(zip(columns, dtypes, strict=True))
    )
    return f"(select {listed} from table(flatten(input => parse_json(?))) as f)"


def read_rows(cursor: Any, location: str) -> pl.DataFrame:
    """Take the rows of a query: by Arrow where the server gives it, batch by batch, else (SHOW, DESCRIBE) as they come."""
    names = fold_names([column[0] for column in cursor.description], location)
    if getattr(cursor, "_query_result_format", "arrow") != "arrow":
        return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)
    batches = [_take_batch(batch, names) for batch in cursor.fetch_arrow_batches(force_microsecond_precision=True)]
    # Each batch has the narrowest types that hold its numbers.
    return pl.concat(batches, how="vertical_relaxed") if batches else _take_batch(cursor.fetch_arrow_all(force_return_table=True), names)


def fold_names(names: Sequence[str], location: str) -> list[str]:
    """Write names in small letters where Snowflake capitalised them, which it does to those that are not quoted.

    Raises WarehouseError where a name occurs twice.
    """
    folded = [name.lower() if _PLAIN.fullmatch(name) else name for name in names]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise WarehouseError(f"{location} returned more than one occurrence of column {', '.join(twice)}; name the columns apart")
    return folded


def _take_batch(batch: Any, names: Sequence[str]) -> pl.DataFrame:
    taken = pl.DataFrame(batch.rename_columns(list(names)))
    return taken.with_columns(_convert_column(column) for column in taken.get_columns())


def _convert_column(column: pl.Series) -> pl.Series:
    if column.dtype.is_integer():
        return column.cast(pl.Int64)
    if not isinstance(column.dtype, pl.Decimal):
        return column
    if column.dtype.scale == 0 and column.is_between(*_INT64).all():
        return column.cast(pl.Int64)
    return column.cast(pl.Float64)
