"""The ragged batch: what of the observations a detector sees, and in which buckets."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.sections.common import FeatureSpec
from anomflow.series import SeriesBatch, bucket_starts, build_series, build_times, metric_shard, to_timestamps

START = datetime(2024, 3, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
RAW = FeatureSpec()


def observe(*rows: object) -> pl.DataFrame:
    schema = {"metric_name": pl.String, "metric_timestamp": pl.Datetime("us", "UTC"), "metric_value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def rows_of(series: SeriesBatch) -> dict[str, list[Any]]:
    return {name: list(zip(to_timestamps(seconds).to_list(), values.tolist(), strict=True)) for name, seconds, values in series}


def test_unordered_rows_are_sorted_by_name_and_time() -> None:
    series = build_series(observe(("b", at(2), 3.0), ("a", at(5), 2.0), ("b", at(1), 4.0), ("a", at(0), 1.0)), RAW, "UTC", LATER)
    assert series.names == ("a", "b")
    assert series.offsets.tolist() == [0, 2, 4]
    assert series.values.tolist() == [1.0, 2.0, 4.0, 3.0]


def test_the_last_of_rows_with_the_same_time_counts_even_if_it_is_no_number() -> None:
    found = build_series(observe(("a", at(0), 1.0), ("a", at(1), 5.0), ("a", at(0), 2.0), ("a", at(1), math.nan)), RAW, "UTC", LATER)
    assert rows_of(found) == {"a": [(at(0), 2.0)]}


def test_times_of_points_are_those_of_the_series_whatever_their_values() -> None:
    points = observe(("b", at(2), None), ("a", at(5), 2.0), ("a", START + timedelta(microseconds=333_333), 1.0))
    series = build_series(points.with_columns(metric_value=1.0), RAW, "UTC", LATER)
    assert {name: seconds.tolist() for name, seconds in build_times(points).items()} == {name: s.tolist() for name, s, _ in series}
    assert build_times(points.clear()) == {}


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_rows_without_a_finite_value_are_left_out(value: Any) -> None:
    assert rows_of(build_series(observe(("a", at(0), 1.0), ("a", at(1), value)), RAW, "UTC", LATER)) == {"a": [(at(0), 1.0)]}


def test_rows_without_name_or_time_are_left_out() -> None:
    assert len(build_series(observe((None, at(0), 1.0), ("a", None, 1.0)), RAW, "UTC", LATER)) == 0


def test_rows_after_as_of_are_left_out_and_the_one_at_it_stays() -> None:
    found = build_series(observe(("a", at(0), 1.0), ("a", at(1), 2.0), ("a", at(2), 3.0)), RAW, "UTC", at(1))
    assert rows_of(found) == {"a": [(at(0), 1.0), (at(1), 2.0)]}


def test_no_rows_make_an_empty_batch() -> None:
    series = build_series(observe(), FeatureSpec(freq="1h"), "UTC", LATER)
    assert (series.names, series.offsets.tolist(), len(series.values)) == ((), [0], 0)


def test_a_negative_zero_becomes_zero() -> None:
    assert math.copysign(1, build_series(observe(("a", at(0), -0.0)), RAW, "UTC", LATER).values[0]) == 1


@given(st.integers(-(2**50), 2**51))
def test_times_survive_to_the_microsecond(microseconds: int) -> None:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert to_timestamps(build_series(observe(("a", when, 1.0)), RAW, "UTC", datetime(2999, 1, 1, tzinfo=UTC)).seconds).to_list() == [when]


def test_an_unknown_time_is_null() -> None:
    assert to_timestamps(np.array([0.0, np.nan])).to_list() == [datetime(1970, 1, 1, tzinfo=UTC), None]


AGGREGATES = [("mean", 4.0), ("sum", 16.0), ("min", 1.0), ("max", 9.0), ("median", 3.0), ("last", 3.0), ("count", 4.0)]


@pytest.mark.parametrize(("how", "value"), AGGREGATES)
def test_rows_of_a_bucket_become_its_value(how: str, value: Any) -> None:
    rows = [("a", at(m), v) for m, v in ((9, 3.0), (0, 1.0), (5, 9.0), (1, 3.0), (10, 7.0), (31, 5.0))]
    found = rows_of(build_series(observe(*rows), FeatureSpec(freq="10min", freq_agg=how), "UTC", LATER))
    assert found["a"][0] == (at(0), value)
    assert [time for time, _ in found["a"]] == [at(0), at(10), at(30)]  # the empty bucket is missing


def test_buckets_of_two_metrics_stay_apart() -> None:
    found = build_series(observe(("a", at(1), 1.0), ("b", at(2), 5.0), ("b", at(3), 7.0)), FeatureSpec(freq="1h"), "UTC", LATER)
    assert rows_of(found) == {"a": [(at(0), 1.0)], "b": [(at(0), 6.0)]}


def test_a_bucket_whose_sum_overflows_is_missing() -> None:
    rows = [("a", at(1), 1e308), ("a", at(2), 1e308), ("a", at(70), 2.0)]
    assert rows_of(build_series(observe(*rows), FeatureSpec(freq="1h", freq_agg="sum"), "UTC", LATER)) == {"a": [(at(60), 2.0)]}


@pytest.mark.parametrize(("minutes", "grace", "complete"), [(59, "0s", 0), (60, "0s", 1), (64, "5min", 0), (65, "5min", 1)])
def test_a_bucket_counts_when_it_is_over_and_the_grace_as_well(minutes: int, grace: str, complete: int) -> None:
    found = build_series(observe(("a", at(1), 1.0)), FeatureSpec(freq="1h", freq_grace=grace), "UTC", at(minutes))
    assert len(found.values) == complete


BUCKETS = [
    ("7min", "Europe/Berlin", "2024-03-31T00:59", "2024-03-31T00:55"),
    ("1h", "Asia/Kolkata", "2024-03-31T00:59", "2024-03-31T00:00"),
    ("1d", "UTC", "2024-03-31T23:59", "2024-03-31T00:00"),
    ("1d", "Europe/Berlin", "2024-03-31T12:00", "2024-03-30T23:00"),  # 23 hours: clocks go forward
    ("1d", "Europe/Berlin", "2024-03-31T22:00", "2024-03-31T22:00"),
    ("1d", "Europe/Berlin", "2024-10-27T22:59", "2024-10-26T22:00"),  # 25 hours: clocks go back
    ("1d", "America/Havana", "2024-11-03T10:00", "2024-11-03T04:00"),  # midnight happens twice: the first one
    ("1d", "Asia/Beirut", "2024-03-31T10:00", "2024-03-30T22:00"),  # midnight does not happen: the day begins at one
    ("1w", "Europe/Berlin", "2024-04-03T12:00", "2024-03-31T22:00"),  # from Monday
    ("2d", "UTC", "2024-01-03T12:00", "2024-01-02T00:00"),
]


@pytest.mark.parametrize(("freq", "timezone", "time", "start"), BUCKETS)
def test_buckets_start_on_the_grid_of_utc_or_of_local_days(freq: str, timezone: str, time: str, start: str) -> None:
    times = pl.Series("t", [datetime.fromisoformat(time)]).cast(pl.Datetime("us", "UTC"))
    assert bucket_starts(times, FeatureSpec(freq=freq), timezone).to_list() == [datetime.fromisoformat(start).replace(tzinfo=UTC)]


@pytest.mark.parametrize(("day", "hours"), [((2024, 3, 31), 23), ((2024, 10, 27), 25), ((2024, 7, 1), 24)])
def test_a_local_day_is_complete_at_its_own_midnight(day: tuple[int, int, int], hours: int) -> None:
    noon = datetime(*day, 12, tzinfo=UTC)
    features = FeatureSpec(freq="1d", freq_agg="count")
    start = bucket_starts(pl.Series([noon]).cast(pl.Datetime("us", "UTC")), features, "Europe/Berlin")[0]
    end = start + timedelta(hours=hours)
    every_hour = observe(*(("a", start + timedelta(hours=h), 1.0) for h in range(hours + 3)))
    assert len(build_series(every_hour, features, "Europe/Berlin", end - timedelta(microseconds=1)).values) == 0
    assert rows_of(build_series(every_hour, features, "Europe/Berlin", end)) == {"a": [(start, float(hours))]}


def test_without_freq_a_row_is_its_own_bucket() -> None:
    times = pl.Series("t", [at(1), at(2)]).cast(pl.Datetime("us", "UTC"))
    assert bucket_starts(times, RAW, "UTC").to_list() == [at(1), at(2)]


def test_shards_are_stable_and_all_used() -> None:
    shards = [metric_shard(f"metric-{i}", 4) for i in range(400)]
    assert {shard: shards.count(shard) > 60 for shard in range(4)} == dict.fromkeys(range(4), True)
    assert [metric_shard(name, 256) for name in ("a", "", "a'; drop table x; --", "Umsatz \N{EURO SIGN}")] == [47, 180, 89, 104]
    assert metric_shard("a", 1) == 0
