"""Rows into Redshift as the text of an insert, and out of it from what its driver made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The longest that a text may be, in bytes. "text" would be varchar(256).
COLUMN_TYPES: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: "timestamp with time zone",
    pl.String: "varchar(65535)",
    pl.Int64: "bigint",
    pl.Float64: "double precision",
    pl.Boolean: "boolean",
}
# Columns by the numbers of their types; others come as text.
_DTYPES: Final[Mapping[int, pl.DataType]] = {
    16: pl.Boolean(),
    20: pl.Int64(),
    21: pl.Int64(),
    23: pl.Int64(),
    700: pl.Float64(),
    701: pl.Float64(),
    1082: pl.Date(),
    1114: pl.Datetime("us"),
    1184: pl.Datetime("us", "UTC"),
    1700: pl.Float64(),
}
_NUMERIC: Final = 1700


def render_rows(rows: pl.DataFrame) -> str:
    """Write rows as what follows VALUES in an insert.

    Raises WarehouseError where a text has a NUL character.
    """
    columns = [_render_column(column) for column in rows.get_columns()]
    tuples = pl.DataFrame(columns).select(pl.format(f"({', '.join('{}' for _ in columns)})", *(column.name for column in columns)))
    return ", ".join(tuples.to_series().to_list())


def escape_text(text: str) -> str:
    """Double what a literal of Redshift gives a meaning: the quote, and the backslash too."""
    return text.replace("\\", "\\\\").replace("'", "''")


def _render_column(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        texts = column.dt.to_string("'%Y-%m-%d %H:%M:%S%.6f+00:00'")
    elif column.dtype == pl.String:
        if column.str.contains("\0", literal=True).any():
            raise WarehouseError(f"column {column.name} has a text with a NUL character, which SQL cannot hold")
        escaped = column.str.replace_all("\\", "\\\\", literal=True).str.replace_all("'", "''", literal=True)
        texts = pl.select(pl.lit("'") + escaped + pl.lit("'")).to_series()
    elif column.dtype == pl.Float64:  # as text, which the column reads: a plain number of many digits would be a decimal first
        texts = pl.select(pl.lit("'") + column.cast(pl.String) + pl.lit("'")).to_series()
    else:
        texts = column.cast(pl.String)
    return texts.fill_null("null").alias(column.name)


def read_rows(columns: Sequence[tuple[Any, ...]], rows: Sequence[Sequence[Any]], location: str) -> pl.DataFrame:
    """Make a frame of a query's columns (each begins with its name and the number of its type) and rows.

    Raises WarehouseError where a name occurs twice.
    """
    names = [str(column[0]) for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WarehouseError(f"{location} returned more than one occurrence of column {', '.join(twice)}; name the columns apart")
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pl.DataFrame([_read_column(name, kind, found) for (name, kind, *_), found in zip(columns, values, strict=True)])


def _read_column(name: str, kind: int, values: Sequence[Any]) -> pl.Series:
    dtype = _DTYPES.get(kind)
    if dtype is None:
        return pl.Series(name, [None if value is None else str(value) for value in values], pl.String)
    if kind == _NUMERIC:
        values = [None if value is None else float(value) for value in values]
    return pl.Series(name, values, dtype)
