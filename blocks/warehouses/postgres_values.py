"""PostgreSQL's types and ours: which fit, and what the driver makes of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMN_TYPES: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: "timestamp with time zone",
    pl.String: "text",
    pl.Int64: "bigint",
    pl.Float64: "double precision",
    pl.Boolean: "boolean",
}
# What a column made by others may be, where it is not the type that we would choose.
_FITTING: Final[Mapping[type[pl.DataType], tuple[str, ...]]] = {
    pl.Datetime: ("timestamp with time zone", "timestamp without time zone"),
    pl.String: ("text", "character varying"),
    pl.Int64: ("bigint", "integer"),
    pl.Float64: ("double precision", "numeric"),
    pl.Boolean: ("boolean",),
}
# Microseconds; the driver makes such times of infinity and -infinity.
_ENDLESS: Final = 9 * 10**18


def fits(kind: str, dtype: pl.DataType) -> bool:
    """Tell whether values of one of our types come back from a column as they were written."""
    return kind in _FITTING[dtype.base_type()] or (dtype == pl.String and kind.startswith("character varying("))


def convert_columns(fetched: pl.DataFrame, location: str) -> pl.DataFrame:
    """Bring what the driver wraps into plain types: numeric to doubles, JSON to text, endless times to null."""
    return pl.DataFrame([_convert_column(column, location) for column in fetched.get_columns()])


def _convert_column(column: pl.Series, location: str) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        return column.set(column.to_physical().abs() > _ENDLESS, None)
    if not isinstance(column.dtype, pl.BaseExtension):
        return column
    plain = column.ext.storage()
    if column.dtype.ext_name() == "arrow.json":
        return plain
    if '"numeric"' in (column.dtype.ext_metadata() or ""):
        return plain.cast(pl.Float64)
    kind = column.dtype.ext_metadata() or column.dtype.ext_name()
    raise WarehouseError(f"{location}: column {column.name} is of a type that cannot be read ({kind}); cast it in the query")
