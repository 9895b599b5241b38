"""Values into libSQL and out of it: exact to the last digit."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from anomflow.errors import WarehouseError
from blocks.warehouses.sqlite_dialect import write_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_REQUEST_BYTES: Final = 2_000_000
_NUMBER_BYTES: Final = 20
_MANTISSA_BITS: Final = 53
_LEAST_EXPONENT: Final = -1074  # of the smallest double
_POWERS: Final = '"anomflow_power"'


@dataclass(frozen=True)
class Source:
    """Rows as a relation of one statement: what stands before it, and the arguments of that."""

    sql: str
    arguments: list[Any]


def check_texts(rows: pl.DataFrame, location: str) -> None:
    """Refuse a text with a NUL character, behind which SQLite's JSON drops the rest."""
    for column in rows.select(pl.col(pl.String)).get_columns():
        if column.str.contains("\0", literal=True).any():
            raise WarehouseError(f"{location}: a text in {column.name} has a NUL character, which cannot be kept; remove it at the source")


def split_rows(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut rows into parts whose text is of a megabyte or two."""
    each = int(rows.estimated_size()) // max(rows.height, 1) + _NUMBER_BYTES * rows.width
    yield from rows.iter_slices(max(_REQUEST_BYTES // each, 1))


def build_source(rows: pl.DataFrame, stage: str, names: Sequence[str]) -> Source:
    """Name rows as a relation, by one argument of JSON.

    SQLite errs in the last digit of some numbers that it reads from text (SQLite 3.45: of one in ten thousand), and an argument
    a value is slow. So a number is an integer times a power of two, and the few powers that occur are arguments.
    """
    written: list[Sequence[Any]] = []
    listed, powers = [], set[int]()
    for column in write_times(rows).get_columns():
        place = len(written)
        if column.dtype == pl.Float64:
            integers, exponents = _split_floats(column)
            written += [integers, exponents]
            powers |= set(exponents)
            listed.append(f"{_take(place)} * (select power from {_POWERS} where exponent = {_take(place + 1)})")
        else:
            written.append((column if column.dtype == pl.String else column.cast(pl.Int64)).to_list())
            listed.append(_take(place))
    known = sorted(powers) or [0]
    sql = (
        f"with {_POWERS} (exponent, power) as (values {', '.join(['(?, ?)'] * len(known))}), "
        f"{stage} ({', '.join(names)}) as (select {', '.join(listed)} from json_each(?) as j)"
    )
    arguments = [argument for exponent in known for argument in _build_power(exponent)]
    text = json.dumps(list(zip(*written, strict=True)), separators=(",", ":"))
    return Source(sql, [*arguments, {"type": "text", "value": text}])


def _take(place: int) -> str:
    return f"json_extract(j.value, '$[{place}]')"


def _build_power(exponent: int) -> tuple[Any, Any]:
    return {"type": "integer", "value": str(exponent)}, {"type": "float", "value": math.ldexp(1.0, exponent)}


def _split_floats(column: pl.Series) -> tuple[list[int | None], list[int]]:
    """Write each number as an integer and the power of two that it is multiplied by, without a loss."""
    fractions, exponents = np.frexp(column.fill_null(0.0).to_numpy())
    shifts = np.maximum(exponents - _MANTISSA_BITS, _LEAST_EXPONENT)
    integers = pl.Series(np.ldexp(fractions, exponents - shifts).astype(np.int64))
    return integers.set(column.is_null(), None).to_list(), shifts.tolist()


def build_frame(columns: Sequence[Any], chunks: Iterable[Sequence[Any]], location: str) -> pl.DataFrame:
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
    dtype = _find_type([_TYPES[kind] for kind in {cell["type"] for cell in cells}], name, location)
    return pl.Series(name, [_READERS[dtype](cell) for cell in cells], dtype=dtype)


def _join(name: str, parts: Sequence[pl.Series], location: str) -> pl.Series:
    dtype = _find_type([part.dtype for part in parts], name, location)
    # Like the driver of SQLite's files: a column without a value is one of integers.
    known = pl.Int64 if dtype == pl.Null else dtype
    return pl.concat([part.cast(known) for part in parts]) if parts else pl.Series(name, [], dtype=known)


def _find_type(dtypes: Sequence[Any], name: str, location: str) -> Any:
    """Return the type that holds values of all these types."""
    found = {dtype for dtype in dtypes if dtype != pl.Null}
    if len(found) < 2:  # noqa: PLR2004 - nothing to agree on
        return found.pop() if found else pl.Null
    if pl.Binary in found:
        raise WarehouseError(f"{location}: column {name} holds bytes and other values; cast it in the query")
    return pl.String if pl.String in found else pl.Float64


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
