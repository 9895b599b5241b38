"""ClickHouse's types and ours: which fit, and what its Arrow makes of the others."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

COLUMN_TYPES: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: "DateTime64(6, 'UTC')",
    pl.String: "String",
    pl.Int64: "Int64",
    pl.Float64: "Float64",
    pl.Boolean: "Bool",
}
# What a column made by others may be, besides Nullable and LowCardinality of it.
_FITTING: Final[Mapping[type[pl.DataType], str]] = {
    pl.Datetime: r"DateTime64\([6-9](, '[^']+')?\)|DateTime(\('[^']+'\))?",
    pl.String: r"String",
    pl.Int64: r"Int64",
    pl.Float64: r"Float64",
    pl.Boolean: r"Bool",
}
_WRAPPED: Final = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")
_SECONDS: Final = re.compile(r"DateTime(\('[^']+'\))?")
_LAST_SECOND: Final = 2**32 - 1  # of DateTime, from 1970
_GREATEST: Final = 2**63 - 1


def unwrap(kind: str) -> str:
    """Return a type without the Nullable and LowCardinality around it."""
    while found := _WRAPPED.fullmatch(kind):
        kind = found[1]
    return kind


def fits(kind: str, dtype: pl.DataType, *, needs_null: bool) -> bool:
    """Tell whether values of one of our types come back from a column as they were written.

    A text that is null may come back empty, which nobody tells apart; a number may not come back as zero.
    """
    may_be_null = "Nullable(" in kind or isinstance(dtype, pl.String)
    return re.fullmatch(_FITTING[dtype.base_type()], unwrap(kind)) is not None and (may_be_null or not needs_null)


def keeps_times(kind: str, times: pl.Series) -> bool:
    """Tell whether a column of times keeps all of these: a DateTime has whole seconds from 1970 to 2106."""
    if not _SECONDS.fullmatch(unwrap(kind)):
        return True
    moments = times.drop_nulls().to_physical()
    return bool(((moments % 1_000_000 == 0) & moments.is_between(0, _LAST_SECOND * 1_000_000)).all())


def encode_rows(rows: pl.DataFrame) -> bytes:
    """Write rows as an Arrow stream, which ClickHouse takes."""
    stream = io.BytesIO()
    rows.write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def build_frame(fetched: bytes, find_types: Callable[[], Mapping[str, str]], location: str) -> pl.DataFrame:
    """Make a frame of an Arrow stream: decimals as doubles, whole numbers as 64-bit integers, JSON as text, DateTime zoned.

    ``find_types`` tells ClickHouse's types of the columns; it is asked only where Arrow does not tell enough.

    Raises:
        WarehouseError: two columns have one name, or one is of a type that cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - it takes a while to load

    if not fetched:
        return pl.DataFrame()
    table = pa.ipc.open_stream(fetched).read_all()
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise WarehouseError(f"{location}: the query has more than one occurrence of the column {', '.join(repeated)}; name them apart")
    vague = {field.name for field in table.schema if _is_vague(field)}
    types = {name: kind for name, kind in find_types().items() if name in vague} if vague else {}
    fields = [_choose_field(field, types.get(field.name, ""), location) for field in table.schema]
    frame: Any = pl.from_arrow(table.cast(pa.schema(fields)))
    columns = [_convert_column(column, types.get(column.name, "")) for column in pl.DataFrame(frame).get_columns()]
    return pl.DataFrame(columns)


def _is_vague(field: pa.Field) -> bool:
    """Tell whether Arrow's type may be that of several: DateTime comes as a number, and so do Enum and IPv4."""
    return str(field.type) in {"uint32", "int8", "int16"} or "binary" in str(field.type)


def _choose_field(field: pa.Field, kind: str, location: str) -> pa.Field:
    import pyarrow as pa  # noqa: PLC0415 - as above

    if pa.types.is_decimal(field.type):
        return pa.field(field.name, pa.float64())
    if isinstance(field.type, pa.BaseExtensionType) and field.type.extension_name == "arrow.json":
        return pa.field(field.name, field.type)
    number = kind and not re.match(r"U?Int\d+|DateTime", unwrap(kind))
    nested = pa.types.is_nested(field.type) or isinstance(field.type, pa.BaseExtensionType)
    if number or nested or "binary" in str(field.type):
        found = kind or str(field.type)
        raise WarehouseError(
            f"{location}: column {field.name} is of a type that cannot be read ({found}); make it text in the query, "
            f"by toString({field.name})"
        )
    return field


def _convert_column(column: pl.Series, kind: str) -> pl.Series:
    if isinstance(column.dtype, pl.BaseExtension):
        return column.ext.storage()
    if _SECONDS.fullmatch(unwrap(kind)):
        return (column.cast(pl.Int64) * 1_000_000).cast(pl.Datetime("us", "UTC"))
    if not column.dtype.is_integer():
        return column
    is_too_great = column.dtype == pl.UInt64 and bool((column > _GREATEST).any())
    return column.cast(pl.Float64 if is_too_great else pl.Int64)
