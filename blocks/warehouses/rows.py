"""Rows and keys on their way into a table: its columns, its types, each key once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from anomflow.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.frames import Table

_STATEMENT_BYTES: Final = 4_000_000  # Snowflake takes a value, Redshift a statement, of 16 MB


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


def split_rows(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut rows into parts which as text of one statement are of some megabytes."""
    if rows.is_empty():
        yield rows
        return
    each = int(rows.estimated_size()) // max(rows.height, 1) + 20 * rows.width
    yield from rows.iter_slices(max(_STATEMENT_BYTES // each, 1))


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
