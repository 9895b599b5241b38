"""Which rows a period covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from anomflow.periods import Period, drop_covered, find_covered

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def build_points(*names: str, hours: int = 4) -> pl.DataFrame:
    """Return hourly points of some metrics."""
    rows = [(name, START + at * HOUR) for name in names for at in range(hours)]
    return pl.DataFrame(rows, {"metric_name": pl.String, "metric_timestamp": pl.Datetime("us", "UTC")}, orient="row")


def test_a_period_includes_its_start_and_excludes_its_end() -> None:
    covered = find_covered(build_points("a"), [Period("*", START + HOUR, START + 3 * HOUR, "move")])
    assert covered.to_list() == [None, "move", "move", None]


@pytest.mark.parametrize(
    ("pattern", "expected"), [("*", "aabb"), ("shop_*", "aa"), ("*_b", "bb"), ("shop_a", "aa"), ("shop", ""), ("shop.a", "")]
)
def test_a_pattern_chooses_the_metrics_of_a_period(pattern: str, expected: str) -> None:
    points = build_points("shop_a", "other_b", hours=2)
    left = drop_covered(points, [Period(pattern, START, START + 2 * HOUR, "x")])
    gone = points.join(left, on=points.columns, how="anti")["metric_name"].sort(descending=True)
    assert "".join(name[-1] for name in gone) == expected


def test_the_first_period_gives_the_reason_and_zones_count() -> None:
    local = START.astimezone(ZoneInfo("Asia/Tokyo"))
    periods = [Period("a", local, local + HOUR, "first"), Period("*", START, START + 2 * HOUR, "second")]
    assert find_covered(build_points("a"), periods).to_list() == ["first", "second", None, None]


def test_without_periods_rows_stay_as_they_are() -> None:
    points = build_points("a")
    assert drop_covered(points, ()) is points
    assert find_covered(points, ()).to_list() == [None] * 4
    assert find_covered(points.clear(), [Period("*", START, START + HOUR, "x")]).to_list() == []


def test_a_bucket_that_overlaps_a_period_is_covered() -> None:
    points = build_points("a")
    start = pl.col("metric_timestamp")
    periods = [Period("*", START + HOUR * 1.5, START + HOUR * 2, "x")]
    assert find_covered(points, periods, (start, start + HOUR)).to_list() == [None, "x", None, None]


def test_hundreds_of_periods_are_no_trouble() -> None:
    periods = [Period("a", START + HOUR * at, START + HOUR * at, "empty") for at in range(3000)]
    assert find_covered(build_points("a"), periods).null_count() == 4
