"""BigQuery's types and ours: which fit, how rows travel in a query, and what comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

COLUMN_TYPES: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: "timestamp",
    pl.String: "string",
    pl.Int64: "int64",
    pl.Float64: "float64",
    pl.Boolean: "bool",
}
# The API and the language name these types differently.
_SAME: Final[Mapping[str, str]] = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
_DECODED: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: "timestamp_micros(cast({} as int64))",
    pl.String: "{}",
    pl.Int64: "cast({} as int64)",
    pl.Float64: "cast({} as float64)",
    pl.Boolean: "cast({} as bool)",
}


def name_type(field_type: str, mode: str) -> str:
    """Return a column's type as the language writes it."""
    plain = _SAME.get(field_type, field_type)
    return f"ARRAY<{plain}>" if mode == "REPEATED" else plain


def fits(kind: str, dtype: pl.DataType) -> bool:
    """Tell whether values of one of our types come back from a column as they were written."""
    return kind.casefold() == COLUMN_TYPES[dtype.base_type()]


def build_decoding(schema: Mapping[str, pl.DataType], parameter: str, identifier: Callable[[str], str]) -> str:
    """Build the subquery that makes rows of what ``encode_rows`` made, given as a parameter."""
    values = (_DECODED[dtype.base_type()].format(f"json_value(r, '$[{place}]')") for place, dtype in enumerate(schema.values()))
    columns = ", ".join(f"{value} as {identifier(name)}" for name, value in zip(schema, values, strict=True))
    return f"(select {columns} from unnest(json_query_array(@{parameter})) as r)"


def encode_rows(rows: pl.DataFrame) -> str:
    """Write rows as JSON: an array a row, of texts and nulls.

    Times travel as microseconds and floats by their shortest exact text, so that each value comes back as it was.
    """
    return json.dumps(rows.select(_encode(name, dtype) for name, dtype in rows.schema.items()).rows(), separators=(",", ":"))


def _encode(name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        return pl.col(name).dt.timestamp("us").cast(pl.String)
    return pl.col(name).cast(pl.String)


def build_frame(fetched: pa.Table, location: str) -> pl.DataFrame:
    """Make a frame of a result: NUMERIC as doubles, JSON and GEOGRAPHY as text.

    Raises:
        WarehouseError: two columns have one name, or a column is an INTERVAL.
    """
    repeated = sorted({name for name in fetched.column_names if fetched.column_names.count(name) > 1})
    if repeated:
        raise WarehouseError(f"{location}: the query has more than one occurrence of the column {', '.join(repeated)}; name them apart")
    intervals = [field.name for field in fetched.schema if "interval" in str(field.type)]
    if intervals:
        raise WarehouseError(f"{location}: column {intervals[0]} is an INTERVAL, which cannot be read; cast it in the query")
    frame: Any = pl.from_arrow(_cast_decimals(fetched))
    return pl.DataFrame([_plain(column) for column in pl.DataFrame(frame).get_columns()])


def _cast_decimals(fetched: pa.Table) -> pa.Table:
    """Make doubles of decimals here: polars has no BIGNUMERIC."""
    import pyarrow as pa  # noqa: PLC0415 - the driver loads when it is used

    fields = [pa.field(field.name, pa.float64() if pa.types.is_decimal(field.type) else field.type) for field in fetched.schema]
    return fetched.cast(pa.schema(fields))


def _plain(column: pl.Series) -> pl.Series:
    return column.ext.storage() if isinstance(column.dtype, pl.BaseExtension) else column
