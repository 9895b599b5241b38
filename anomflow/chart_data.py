"""What a chart draws of a metric's history: cleaned numbers, broken lines, fewer points, ranges of the axes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.frames import HISTORY

if TYPE_CHECKING:
    from datetime import datetime

GAP_STEPS: Final = 3  # a distance of more typical steps than this breaks the line; a weekend in daily rows does not
_ROWS_A_GROUP: Final = 6  # at most: first, least, greatest, highest score, and what breaks the line
_LARGEST: Final = 1e307  # so that the span of an axis is a finite number
_SMALLEST: Final = 1e-290  # so that a part of a span is not zero
_FINEST: Final = 1e-6  # of the size of a value; what differs by less is drawn as constant
_NUMBERS: Final = ("metric_value", "expected_low", "expected_high", "anomaly_score", "threshold")
_BAND_SPANS: Final = 1.5  # an expected range is shown up to this many spans of the values beyond them


def arrange_history(history: pl.DataFrame, max_points: int) -> pl.DataFrame:
    """Return the rows to draw (columns of ``frames.HISTORY``), oldest first, about ``max_points`` of them.

    A row without numbers stands where a line is broken: in gaps of more than three typical steps. Thinning keeps the
    extremes, and the alerts (the newest half of ``max_points``, where there are more).
    """
    rows = history.select(pl.col(name).cast(kind) for name, kind in HISTORY.items()).drop_nulls("metric_timestamp")
    cleaned = rows.with_columns(_clean_number(name) for name in _NUMBERS).sort("metric_timestamp", maintain_order=True)
    return _thin(_break_gaps(cleaned), max_points)


def _clean_number(name: str) -> pl.Expr:
    column = pl.col(name)
    visible = pl.when(column.abs() < _SMALLEST).then(0.0).otherwise(column.clip(-_LARGEST, _LARGEST))
    return pl.when(column.is_finite()).then(visible).alias(name)


def _break_gaps(rows: pl.DataFrame) -> pl.DataFrame:
    step = rows["metric_timestamp"].diff().median()
    if not isinstance(step, timedelta):
        return rows
    is_late = pl.col("metric_timestamp").diff() > GAP_STEPS * step
    breaks = rows.filter(is_late).select(pl.col("metric_timestamp") - step / 2)
    return pl.concat([rows, breaks], how="diagonal").sort("metric_timestamp", maintain_order=True)


def _thin(rows: pl.DataFrame, max_points: int) -> pl.DataFrame:
    if rows.height <= max_points:
        return rows
    groups = max(1, max_points // _ROWS_A_GROUP)
    indexed = rows.with_row_index("row").with_columns(group=pl.int_range(pl.len()) * groups // pl.len())
    value, score, row = pl.col("metric_value"), pl.col("anomaly_score"), pl.col("row")
    kept = indexed.group_by("group").agg(
        first=row.first(),
        least=row.filter(value == value.min()).first(),
        greatest=row.filter(value == value.max()).first(),
        highest=row.filter(score == score.max()).first(),
        missing=row.filter(value.is_null()).first(),
    )
    alerts = indexed.filter(pl.col("alert").is_not_null())["row"].tail(max_points // 2)
    chosen = pl.concat([*(kept[name] for name in kept.columns[1:]), alerts, indexed["row"].tail(1)]).drop_nulls().unique()
    return indexed.filter(row.is_in(chosen.implode())).drop("row", "group")


def find_lone_points(rows: pl.DataFrame, column: str) -> pl.Series:
    """Tell which values no line reaches, since both their neighbours are missing."""
    present = rows[column].is_not_null()
    return present & ~present.shift(1, fill_value=False) & ~present.shift(-1, fill_value=False)


def find_value_range(rows: pl.DataFrame) -> tuple[float, float]:
    """Return the ends of the value axis: all values, and the expected range as far as it is near them."""
    low, high = _least(rows["metric_value"]), _greatest(rows["metric_value"])
    band_low, band_high = _least(rows["expected_low"]), _greatest(rows["expected_high"])
    if low is None or high is None:
        low, high = band_low if band_low is not None else 0.0, band_high if band_high is not None else 1.0
        low, high = min(low, high), max(low, high)
        band_low, band_high = low, high
    reach = _BAND_SPANS * (high - low) or _LARGEST
    low, high = min(low, max(low - reach, _or(band_low, low))), max(high, min(high + reach, _or(band_high, high)))
    size = max(abs(low), abs(high))
    span = high - low
    margin = (0.1 * size or 1.0) if span == 0 else max(0.05 * span, _FINEST * size)
    return low - margin, high + margin


def _least(column: pl.Series) -> float | None:
    value: float | None = column.min()  # type: ignore[assignment]  # polars types it for any column
    return value


def _greatest(column: pl.Series) -> float | None:
    value: float | None = column.max()  # type: ignore[assignment]  # as above
    return value


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def find_time_range(rows: pl.DataFrame, highlight: datetime | None) -> tuple[datetime, datetime] | None:
    """Return the ends of the time axis; a highlighted moment counts where it is not far outside; None without rows."""
    first: Any = rows["metric_timestamp"].min()
    last: Any = rows["metric_timestamp"].max()
    if first is None:
        return None if highlight is None else (highlight - timedelta(hours=1), highlight + timedelta(hours=1))
    reach = max((last - first) / 2, timedelta(days=1))
    if highlight is not None and first - reach <= highlight <= last + reach:
        first, last = min(first, highlight), max(last, highlight)
    margin = timedelta(hours=1) if first == last else (last - first) / 50
    return first - margin, last + margin
