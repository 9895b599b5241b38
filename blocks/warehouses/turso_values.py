"""Values into libSQL and out of it, in the forms of Hrana: exact to the last digit."""

from __future__ import annotations

import base64
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.sqlite_dialect import write_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NULL: Final = {"type": "null"}
_VARIABLES: Final = 32_000  # of one statement; SQLite takes 32,766
_REQUEST_BYTES: Final = 4_000_000
_CELL_BYTES: Final = 35  # around a value in JSON


def split_rows(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut rows into parts that one statement takes."""
    each = int(rows.estimated_size()) // max(rows.height, 1) + _CELL_BYTES * rows.width
    yield from rows.iter_slices(max(min(_VARIABLES // rows.width, _REQUEST_BYTES // each), 1))


def build_arguments(rows: pl.DataFrame) -> list[Any]:
    """Write the values of rows as arguments, row by row."""
    columns = [_build_cells(column) for column in write_times(rows).get_columns()]
    return list(chain.from_iterable(zip(*columns, strict=True)))


def _build_cells(column: pl.Series) -> list[Any]:
    if column.dtype == pl.Float64:
        return [_NULL if value is None else {"type": "float", "value": value} for value in column]
    kind = "text" if column.dtype == pl.String else "integer"
    plain = column if kind == "text" else column.cast(pl.Int64).cast(pl.String)
    return [_NULL if value is None else {"type": kind, "value": value} for value in plain]


def build_frame(columns: Sequence[Any], chunks: Sequence[Sequence[Any]], location: str) -> pl.DataFrame:
    """Make a frame of rows; a column is of the type that holds all its values, as SQLite's columns hold any.

    Raises WarehouseError where a column mixes bytes with others, or a name occurs twice.
    """
    names = [column["name"] for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WarehouseError(f"{location} returned more than one occurrence of column {', '.join(twice)}; name the columns apart")
    parts = [_read_chunk(names, chunk, location) for chunk in chunks]
    return pl.DataFrame([_join(name, [part[place] for part in parts], location) for place, name in enumerate(names)])


def _read_chunk(names: Sequence[str], rows: Sequence[Any], location: str) -> list[pl.Series]:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return [_read_column(name, cells, location) for name, cells in zip(names, columns, strict=True)]


def _read_column(name: str, cells: Sequence[Any], location: str) -> pl.Series:
    dtype = reduce(
        lambda one, other: _widen(one, other, name, location), (_TYPES[kind] for kind in {cell["type"] for cell in cells}), pl.Null
    )
    return pl.Series(name, [_READERS[dtype](cell) for cell in cells], dtype=dtype)


def _join(name: str, parts: Sequence[pl.Series], location: str) -> pl.Series:
    dtype = reduce(lambda one, other: _widen(one, other, name, location), (part.dtype for part in parts), pl.Null)
    # Like the driver of SQLite's files: a column without a value is one of integers.
    known = pl.Int64 if dtype == pl.Null else dtype
    return pl.concat([part.cast(known) for part in parts]) if parts else pl.Series(name, [], dtype=known)


def _widen(one: Any, other: Any, name: str, location: str) -> Any:
    if pl.Null in (one, other) or one == other:
        return other if one == pl.Null else one
    if pl.Binary in (one, other):
        raise WarehouseError(f"{location}: column {name} holds bytes and other values; cast it in the query")
    return pl.String if pl.String in (one, other) else pl.Float64


def _read_text(cell: Any) -> str | None:
    value = cell.get("value")
    return None if value is None else str(value)


_TYPES: Final = {"null": pl.Null, "integer": pl.Int64, "float": pl.Float64, "text": pl.String, "blob": pl.Binary}
_READERS: Final[dict[Any, Any]] = {
    pl.Null: lambda _: None,
    pl.Int64: lambda cell: None if cell["type"] == "null" else int(cell["value"]),
    # The server writes an infinite number as a float without a value.
    pl.Float64: lambda cell: None if cell.get("value") is None else float(cell["value"]),
    pl.String: _read_text,
    pl.Binary: lambda cell: None if cell["type"] == "null" else base64.b64decode(cell["base64"] + "=="),
}
