"""Bring what a user's query or function returned into the shape of the tables; say which rows cannot be and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.errors import FrameError, IngestError
from anomflow.frames import HISTORY, METRIC, OBSERVATIONS, SCORES, TABLES, UTC

if TYPE_CHECKING:
    from collections.abc import Collection

REQUIRED: Final = ("metric_timestamp", "metric_name", "metric_value")

# Every column that holds a time in any of our tables and frames.
TIME_COLUMNS: Final = frozenset(
    column for columns in (*(table.columns for table in TABLES), SCORES, HISTORY) for column, dtype in columns.items() if dtype == UTC
)

_ISO = (
    r"^\s*(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<clock>\d{2}:\d{2})(?P<seconds>:\d{2})?(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<zone>Z|z|UTC|(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?)?\s*$"
)
# Epoch numbers by size: each unit covers 1973 to 5138, so no number has two meanings; 20260101 has none.
_EPOCH_UNITS: Final = ((1e8, 1_000_000.0), (1e11, 1_000.0), (1e14, 1.0), (1e17, 0.001), (1e20, 0.0))
_MISSING_TEXTS: Final = ("", "nan", "null", "none", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")


@dataclass(frozen=True)
class Conformed:
    """Rows of OBSERVATIONS, and the rows that could not become any: their text, place (from 1) and ``reason``."""

    observations: pl.DataFrame
    rejected: pl.DataFrame


def as_polars(result: object) -> pl.DataFrame:
    """Take a polars, pandas or Arrow table, or a list of mappings, as polars; an index is dropped.

    Raises:
        IngestError: it is something else, or has columns that cannot be read.
    """
    if isinstance(result, pl.LazyFrame):
        return result.collect()
    if isinstance(result, pl.DataFrame):
        return result
    if isinstance(result, list) and all(isinstance(row, Mapping) for row in result):
        return _build_table(result)
    import narwhals as nw  # noqa: PLC0415 - only foreign frames need it

    try:
        frame = nw.from_native(result, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame):
            return frame.to_polars()
        if hasattr(result, "__arrow_c_stream__") and not hasattr(result, "dtype"):
            return pl.DataFrame(result)
    except Exception as error:
        raise IngestError(f"ingest returned a {_type_name(result)} that cannot be read: {error}") from error
    raise IngestError(
        f"ingest returned a {_type_name(result)}; return a polars, pandas or Arrow table or a list of mappings with {', '.join(REQUIRED)}"
    )


def _build_table(rows: list[Mapping[str, object]]) -> pl.DataFrame:
    """Make a table of mappings; no rows are a table without rows."""
    if not rows:
        return pl.DataFrame(schema={name: OBSERVATIONS.columns[name] for name in REQUIRED})
    try:
        return _read_mappings(rows)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise IngestError(f"ingest returned a list of mappings whose values are not of one type by column: {error}") from error


def _read_mappings(rows: list[Mapping[str, object]]) -> pl.DataFrame:
    """Read mappings as they are; where their values mix types that polars does not mix, times as text and nothing of other columns."""
    plain = [{name: _take_number(value) for name, value in row.items()} for row in rows]
    try:
        return pl.DataFrame(plain, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        wanted = {*REQUIRED, "metadata"}
        told = [{name: _render_time(value) if name.casefold() in wanted else None for name, value in row.items()} for row in plain]
        return pl.DataFrame(told, infer_schema_length=None)


def _take_number(value: object) -> object:
    """Replace numbers that polars cannot take: it panics at a decimal that is none, and mixes no integer beyond 64 bits with others."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def _render_time(value: object) -> object:
    """Write a date or time as text, since a column of them may have some with and some without a zone; leave other values alone."""
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(dt.UTC)).isoformat()
    return value.isoformat() if isinstance(value, date) else value


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def conform_times(frame: pl.DataFrame, timezone: str = "UTC", also: Collection[str] = ()) -> pl.DataFrame:
    """Turn each column of times (by name one of ours or of ``also``, or by type) into UTC with microseconds; what is no time becomes null.

    A naive time is of ``timezone``: of an hour that occurs twice the first is meant, a time that the clocks skip is null.
    Text is ISO 8601 (``2026-01-01``, ``2026-01-01 00:00[:00[.ffffff]]``, ``T``, ``Z``, ``+02:00``); a number is an epoch in
    seconds, milli-, micro- or nanoseconds by its size, from 1973 on. Finer parts than microseconds are cut off.

    Raises:
        FrameError: a column of ours is of a type that cannot be a time.
    """
    names = [name for name, dtype in frame.schema.items() if name in TIME_COLUMNS or name in also or isinstance(dtype, pl.Datetime)]
    return frame.with_columns(_conform_time(frame[name], timezone) for name in names)


def _conform_time(column: pl.Series, timezone: str) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        return _localize(column, timezone) if dtype.time_zone is None else _to_utc(column)
    if dtype == pl.Date:
        return _localize(column.cast(pl.Datetime("us")), timezone)
    if dtype == pl.Null:
        return column.cast(UTC)
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        return _parse_text(column.cast(pl.String), timezone)
    if dtype.is_numeric():
        return _parse_epoch(column)
    raise FrameError(f"column {column.name} is of type {dtype}; a time is a timestamp, a date, ISO 8601 text or an epoch number")


def _to_utc(column: pl.Series) -> pl.Series:
    return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")


def _localize(column: pl.Series, timezone: str) -> pl.Series:
    try:
        zoned = column.dt.cast_time_unit("us").dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    except pl.exceptions.PolarsError as error:
        raise FrameError(f"column {column.name} cannot be read in time zone {timezone!r}: {error}") from error
    return _to_utc(zoned)


def _parse_text(column: pl.Series, timezone: str) -> pl.Series:
    part = column.str.extract_groups(_ISO).struct.unnest()
    clock = pl.col("clock").fill_null("00:00") + pl.col("seconds").fill_null(":00")
    fraction = pl.col("fraction").fill_null("").str.pad_end(9, "0").str.slice(0, 6)
    text = pl.col("date") + " " + clock + "." + fraction
    minutes = pl.col("hours").cast(pl.Int64) * 60 + pl.col("minutes").fill_null("0").cast(pl.Int64)
    east = pl.when(pl.col("sign") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    parsed = part.select(
        text.str.strptime(pl.Datetime("us"), "%Y-%m-%d %H:%M:%S%.6f", strict=False).alias("time"),
        pl.duration(minutes=east, time_unit="us").alias("offset"),
        pl.col("zone").is_null().alias("naive"),
    )
    local = _localize(parsed.select(pl.when("naive").then("time").alias(column.name)).to_series(), timezone)
    zoned = parsed.select((pl.col("time") - pl.col("offset")).dt.replace_time_zone("UTC")).to_series()
    return local.zip_with(parsed["naive"], zoned).alias(column.name)


def _parse_epoch(column: pl.Series) -> pl.Series:
    # Whole numbers are scaled as integers: a double holds no microseconds of a nanosecond epoch.
    whole = column.dtype.is_integer()
    number = pl.col(column.name).cast(pl.Int64, strict=False) if whole else pl.col(column.name).cast(pl.Float64)
    micros = pl.lit(None, dtype=pl.Int64)
    for (low, factor), (high, _) in pairwise(_EPOCH_UNITS):
        scaled = _scale(number, factor) if whole else (number * factor).round()
        micros = pl.when((number.abs() >= low) & (number.abs() < high)).then(scaled.cast(pl.Int64, strict=False)).otherwise(micros)
    return column.to_frame().select(micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias(column.name)).to_series()


def _scale(number: pl.Expr, factor: float) -> pl.Expr:
    # Out of their range these may overflow; `when` takes such a result from another branch.
    return number * int(factor) if factor >= 1 else number // round(1 / factor)


def conform_observations(rows: pl.DataFrame, batch: str, timezone: str) -> Conformed:
    """Make OBSERVATIONS rows of a batch from an ingest result; of rows with one key the last wins.

    Names of columns are found whatever their case; other columns than the required ones and ``metadata`` (text) are left out.
    A value that is null, NaN or infinite is kept as null. Rejected are rows without a time or name, with text that is no time,
    a local time that the clocks skipped, or a value text that is no number.

    Raises:
        FrameError: a required column is missing or of an impossible type, or no value at all is a number.
    """
    if rows.width == 0:
        rows = pl.DataFrame(schema={name: OBSERVATIONS.columns[name] for name in REQUIRED})
    found = _select_columns(rows)
    judged = found.select(
        _conform_time(found["metric_timestamp"], timezone),
        _conform_name(found["metric_name"]),
        _conform_value(found["metric_value"]),
        _conform_metadata(found),
    ).with_columns(_find_reasons(found, timezone))
    return Conformed(_build_observations(judged, batch), _build_rejected(found, judged["reason"]))


def _select_columns(rows: pl.DataFrame) -> pl.DataFrame:
    folded = {name.casefold(): name for name in reversed(rows.columns)}
    places = {wanted: wanted if wanted in rows.columns else folded.get(wanted) for wanted in (*REQUIRED, "metadata")}
    missing = [name for name in REQUIRED if places[name] is None]
    if missing:
        found = ", ".join(rows.columns) or "none"
        raise FrameError(f"the ingest result has no column {', '.join(missing)}; found: {found}; needed: {', '.join(REQUIRED)}")
    return rows.select(pl.col(place).alias(wanted) for wanted, place in places.items() if place is not None)


def _conform_name(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype in (pl.String, pl.Null, pl.Categorical, pl.Boolean) or isinstance(dtype, pl.Enum) or dtype.is_numeric():
        return column.cast(pl.String)
    raise FrameError(f"column metric_name is of type {dtype}; it must be text")


def _conform_value(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        column = _parse_numbers(column.cast(pl.String))
    elif not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise FrameError(f"column metric_value is of type {dtype}; it must be numbers")
    number = column.cast(pl.Float64)
    return number.set(~number.is_finite(), None)


def _parse_numbers(column: pl.Series) -> pl.Series:
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    given = column.filter(~_is_missing(column))
    if len(given) and not numbers.is_finite().any():
        raise FrameError(f"column metric_value has no number in it: it is text such as {given[0][:80]!r}; cast it in the query")
    return numbers


def _is_missing(column: pl.Series) -> pl.Series:
    return column.is_null() | column.str.strip_chars().str.to_lowercase().is_in(_MISSING_TEXTS)


def _conform_metadata(found: pl.DataFrame) -> pl.Series:
    if "metadata" not in found.columns or found["metadata"].dtype == pl.Null:
        return pl.Series("metadata", [None] * found.height, dtype=pl.String)
    if found["metadata"].dtype != pl.String:
        raise FrameError(f"column metadata is of type {found['metadata'].dtype}; it must be JSON text")
    return found["metadata"]


def _find_reasons(found: pl.DataFrame, timezone: str) -> pl.Series:
    time, value = found["metric_timestamp"], found["metric_value"]
    unread = ~_is_missing(value) if value.dtype == pl.String else pl.Series([False]).new_from_index(0, found.height)
    name = _conform_name(found["metric_name"])
    facts = pl.DataFrame(
        {
            "no_time": time.is_null(),
            "bad_time": _conform_time(time, timezone).is_null(),
            "no_name": name.is_null() | (name == "").fill_null(value=False),
            "nul": name.str.contains("\0", literal=True).fill_null(value=False),
            "bad_value": unread & _conform_value(value).is_null() if value.dtype == pl.String else unread,
        }
    )
    reason = (
        pl.when("no_time").then(pl.lit("metric_timestamp is null"))
        .when("bad_time").then(pl.lit(f"metric_timestamp is no time, or one that does not exist in {timezone}"))
        .when("no_name").then(pl.lit("metric_name is null or empty"))
        .when("nul").then(pl.lit("metric_name has a NUL character"))
        .when("bad_value").then(pl.lit("metric_value is text that is no number"))
    )  # fmt: skip
    return facts.select(reason.alias("reason")).to_series()


def _build_observations(judged: pl.DataFrame, batch: str) -> pl.DataFrame:
    return (
        judged.filter(pl.col("reason").is_null())
        .with_columns(metric_batch=pl.lit(batch), metric_type=pl.lit(METRIC))
        .select(pl.col(name).cast(dtype) for name, dtype in OBSERVATIONS.columns.items())
        .unique(subset=OBSERVATIONS.key, keep="last", maintain_order=True)
    )


def _build_rejected(found: pl.DataFrame, reason: pl.Series) -> pl.DataFrame:
    return (
        found.select(pl.col(name).cast(pl.String, strict=False) for name in REQUIRED)
        .with_columns(reason)
        .with_row_index("row", offset=1)
        .filter(pl.col("reason").is_not_null())
    )
