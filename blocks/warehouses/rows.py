"""Rows and keys on their way into a table: its columns, its types, each key once, in parts that a statement takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.frames import Table

# As text of JSON, where rows travel in a statement: BigQuery takes 10 MB in a request, Snowflake 16 MB in a value.
_PART_CHARACTERS: Final = 4_000_000
_VALUE_CHARACTERS: Final = 30  # at most, of a time or a number, with its quotes


def prepare_rows(table: Table, rows: pl.DataFrame, *, keep: str) -> pl.DataFrame:
    """Bring rows into the table's columns and types, one row a key (the first or last), numbers that are not finite as null.

    Raises:
        FrameError: columns are missing, unknown or of another type, or a key is null.
    """
    missing = [column for column in table.columns if column not in rows.columns]
    unknown = [column for column in rows.columns if column not in table.columns]
    if missing or unknown:
        raise FrameError(
            f"rows for a table *{table.suffix} lack {missing or 'nothing'} and have {unknown or 'nothing'} that it does not know"
        )
    typed = _cast(table, rows.select(list(table.columns)))
    floats = [column for column, dtype in table.columns.items() if dtype == pl.Float64]
    finite = typed.with_columns(pl.when(pl.col(column).is_finite()).then(pl.col(column)).alias(column) for column in floats)
    return finite.unique(subset=table.key, keep="last" if keep == "last" else "first", maintain_order=True)


def prepare_keys(table: Table, keys: pl.DataFrame) -> pl.DataFrame:
    """Take the key columns of rows, typed, each key once.

    Raises:
        FrameError: a key column is missing, of another type or null.
    """
    missing = [column for column in table.key if column not in keys.columns]
    if missing:
        raise FrameError(f"keys of a table *{table.suffix} lack {', '.join(missing)}; found: {', '.join(keys.columns)}")
    return _cast(table, keys.select(table.key)).unique(maintain_order=True)


def split_rows(rows: pl.DataFrame, characters: int = _PART_CHARACTERS) -> Iterator[pl.DataFrame]:
    """Cut rows into parts whose JSON, all of it escaped once more, has so many characters at most, or one row."""
    if rows.is_empty():
        return
    total = rows.select(pl.sum_horizontal(_measure(name, dtype) for name, dtype in rows.schema.items()).cum_sum()).to_series()
    start, sent = 0, 0
    while start < rows.height:
        end = max(int(total.search_sorted(sent + characters, side="right")), start + 1)
        yield rows.slice(start, end - start)
        start, sent = end, int(total[end - 1])


def _measure(name: str, dtype: pl.DataType) -> pl.Expr:
    """Count the characters of each value, at most."""
    if dtype != pl.String:
        return pl.lit(_VALUE_CHARACTERS, dtype=pl.Int64)
    text = pl.col(name)
    escaped = 3 * text.str.count_matches(r'["\\]') + 10 * text.str.count_matches(r"[^ -~]")
    return (text.str.len_bytes() + escaped).fill_null(0).cast(pl.Int64) + 8


def _cast(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    naive = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone is None]
    if naive:
        raise FrameError(f"column {', '.join(naive)} holds naive times; give it a time zone (conform_times)")
    try:
        typed = rows.select(pl.col(name).cast(table.columns[name]) for name in rows.columns)
    except pl.exceptions.PolarsError as error:
        raise FrameError(f"rows do not fit a table *{table.suffix}: {error}") from error
    nulls = [column for column in table.key if typed[column].null_count()]
    if nulls:
        raise FrameError(f"rows for a table *{table.suffix} have a null in {', '.join(nulls)}, which is part of the key")
    return typed
