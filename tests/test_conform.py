from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.conform import as_polars, conform_observations, conform_times
from anomflow.errors import FrameError, IngestError
from anomflow.frames import OBSERVATIONS, UTC

NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def build_rows(times: object, values: object = None, names: object = None) -> pl.DataFrame:
    count = len(times)  # type: ignore[arg-type]
    return pl.DataFrame(
        {
            "metric_timestamp": times,
            "metric_name": ["m"] * count if names is None else names,
            "metric_value": [1.0] * count if values is None else values,
        },
        strict=False,
    )


@pytest.mark.parametrize(
    ("found", "timezone", "expected"),
    [
        (dt.datetime(2026, 1, 1), "UTC", NEW_YEAR),  # noqa: DTZ001 - a naive time is the case
        (dt.datetime(2026, 1, 1, 1), "Europe/Berlin", NEW_YEAR),  # noqa: DTZ001 - a naive time is the case
        (NEW_YEAR, "Europe/Berlin", NEW_YEAR),
        (dt.date(2026, 1, 1), "UTC", NEW_YEAR),
        (dt.date(2026, 1, 1), "Europe/Berlin", NEW_YEAR - dt.timedelta(hours=1)),
        ("2026-01-01", "UTC", NEW_YEAR),
        ("2026-01-01 00:00", "UTC", NEW_YEAR),
        ("2026-01-01T00:00:00", "UTC", NEW_YEAR),
        ("2026-01-01 01:00:00", "Europe/Berlin", NEW_YEAR),
        ("2026-01-01T00:00:00.000000", "UTC", NEW_YEAR),
        ("2026-01-01T00:00:00.123456789Z", "Europe/Berlin", NEW_YEAR.replace(microsecond=123456)),
        ("2026-01-01 00:00:00.5", "UTC", NEW_YEAR.replace(microsecond=500000)),
        ("2026-01-01 00:00:00+00:00", "Europe/Berlin", NEW_YEAR),
        ("2026-01-01 05:30:00+0530", "UTC", NEW_YEAR),
        ("2025-12-31 19:00:00-05", "UTC", NEW_YEAR),
        ("2026-01-01 00:00:00 UTC", "Europe/Berlin", NEW_YEAR),
        (1767225600, "Europe/Berlin", NEW_YEAR),
        (1767225600.25, "UTC", NEW_YEAR.replace(microsecond=250000)),
        (1767225600123, "UTC", NEW_YEAR.replace(microsecond=123000)),
        (1767225600123456, "UTC", NEW_YEAR.replace(microsecond=123456)),
        (1767225600123456789, "UTC", NEW_YEAR.replace(microsecond=123456)),
    ],
)
def test_a_time_in_any_common_form_is_the_same_utc_moment(found: object, timezone: str, expected: dt.datetime) -> None:
    conformed = conform_observations(build_rows([found]), "b", timezone)
    assert conformed.observations["metric_timestamp"].to_list() == [expected]
    assert conformed.observations.schema == OBSERVATIONS.columns


@pytest.mark.parametrize("found", ["yesterday", "2026-13-01", "2026-02-30 00:00", "01/02/2026", "", "20260101", "2026-01-01 25:00", "now"])
def test_a_text_that_is_no_time_is_rejected_alone(found: str) -> None:
    conformed = conform_observations(build_rows(["2026-01-01", found]), "b", "UTC")
    assert conformed.observations.height == 1
    assert conformed.rejected.select("row", "metric_timestamp").row(0) == (2, found)
    assert "no time" in conformed.rejected["reason"][0]


def test_a_number_that_looks_like_a_date_is_rejected_not_taken_for_1970() -> None:
    conformed = conform_observations(build_rows([20260101, 0]), "b", "UTC")
    assert conformed.observations.is_empty()
    assert conformed.rejected.height == 2


def test_of_a_local_hour_that_occurs_twice_the_first_is_meant_and_a_skipped_one_is_rejected() -> None:
    rows = build_rows(["2026-10-25 02:30:00", "2026-03-29 02:30:00"])
    conformed = conform_observations(rows, "b", "Europe/Berlin")
    assert conformed.observations["metric_timestamp"].to_list() == [dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC)]
    assert "does not exist in Europe/Berlin" in conformed.rejected["reason"][0]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([1, 2], [1.0, 2.0]),
        ([Decimal("1.25"), None], [1.25, None]),
        ([True, False], [1.0, 0.0]),
        ([1e308, float("nan")], [1e308, None]),
        ([float("inf"), float("-inf")], [None, None]),
        ([None, None], [None, None]),
        (["1.5", " 2e3 "], [1.5, 2000.0]),
        (["1.5", "NaN"], [1.5, None]),
        (["", None], [None, None]),
    ],
)
def test_values_become_numbers_and_what_is_not_finite_a_null(found: list[object], expected: list[float | None]) -> None:
    rows = build_rows(["2026-01-01", "2026-01-02"], found)
    assert conform_observations(rows, "b", "UTC").observations["metric_value"].to_list() == expected


def test_one_value_that_is_no_number_rejects_its_row_and_a_column_of_them_is_an_error() -> None:
    conformed = conform_observations(build_rows(["2026-01-01", "2026-01-02"], ["1", "1,234"]), "b", "UTC")
    assert conformed.observations.height == 1
    assert conformed.rejected.row(0, named=True) == {
        "row": 2, "metric_timestamp": "2026-01-02", "metric_name": "m", "metric_value": "1,234",
        "reason": "metric_value is text that is no number",
    }  # fmt: skip
    with pytest.raises(FrameError, match="no number in it: it is text such as 'high'"):
        conform_observations(build_rows(["2026-01-01"], ["high"]), "b", "UTC")


@pytest.mark.parametrize("name", [None, "", "a\0b"])
def test_a_row_without_a_usable_name_is_rejected(name: str | None) -> None:
    conformed = conform_observations(build_rows(["2026-01-01"] * 2, names=["fine", name]), "b", "UTC")
    assert conformed.observations["metric_name"].to_list() == ["fine"]
    assert "metric_name" in conformed.rejected["reason"][0]


@pytest.mark.parametrize("name", ["a'; drop table x; --", "a/b\n", "ü 東京 🦆", '"quoted"', " "])
def test_a_name_is_kept_as_it_is(name: str) -> None:
    assert conform_observations(build_rows(["2026-01-01"], names=[name]), "b", "UTC").observations["metric_name"].to_list() == [name]


def test_of_rows_with_one_key_the_last_wins_also_across_forms_of_one_moment() -> None:
    rows = build_rows(["2026-01-01 00:00:00", "2026-01-01T01:00:00+01:00"], [1.0, 2.0])
    assert conform_observations(rows, "b", "UTC").observations["metric_value"].to_list() == [2.0]


def test_missing_columns_are_named_with_those_found() -> None:
    with pytest.raises(FrameError, match=r"no column metric_name, metric_value; found: metric_timestamp, value; needed"):
        conform_observations(pl.DataFrame({"metric_timestamp": [1], "value": [1]}), "b", "UTC")


def test_columns_are_found_whatever_their_case_and_others_left_out() -> None:
    rows = build_rows(["2026-01-01"]).rename(str.upper).with_columns(other=1, metadata=pl.lit("{}"), metric_batch=pl.lit("another"))
    assert conform_observations(rows, "b", "UTC").observations.rows() == [(NEW_YEAR, "b", "m", "metric", 1.0, "{}")]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("metric_timestamp", [[1]]),
        ("metric_timestamp", [True]),
        ("metric_value", [dt.date(2026, 1, 1)]),
        ("metric_name", [[1]]),
        ("metric_value", [b"1"]),
    ],
)
def test_a_column_of_an_impossible_type_is_an_error_that_names_it(column: str, found: list[object]) -> None:
    with pytest.raises(FrameError, match=f"column {column} is of type"):
        conform_observations(build_rows(["2026-01-01"]).with_columns(pl.Series(column, found)), "b", "UTC")


@pytest.mark.parametrize("empty", [pl.DataFrame(), build_rows(["2026-01-01"]).clear(), pd.DataFrame([])])
def test_an_empty_result_is_no_observations(empty: object) -> None:
    conformed = conform_observations(as_polars(empty), "b", "UTC")
    assert conformed.observations.is_empty()
    assert conformed.observations.schema == OBSERVATIONS.columns
    assert conformed.rejected.is_empty()


@pytest.mark.parametrize("kind", [pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.table])
def test_polars_pandas_and_arrow_are_taken(kind: type) -> None:
    columns = {"metric_timestamp": [NEW_YEAR], "metric_name": ["m"], "metric_value": [1.5]}
    conformed = conform_observations(as_polars(kind(columns)), "b", "UTC")
    assert conformed.observations.rows() == [(NEW_YEAR, "b", "m", "metric", 1.5, None)]


@pytest.mark.parametrize(
    ("result", "name"),
    [
        ([1], "list"),
        (None, "NoneType"),
        ({"a": 1}, "dict"),
        ("text", "str"),
        (pl.Series([1]), "polars.*Series"),
        (pd.Series([1]), "Series"),
    ],
)
def test_anything_else_is_an_error_that_names_its_type(result: object, name: str) -> None:
    with pytest.raises(IngestError, match=f"ingest returned a .*{name}; return a polars"):
        as_polars(result)


def test_times_of_a_query_are_conformed_by_name_and_type() -> None:
    frame = pl.DataFrame(
        {
            "metric_timestamp": ["2026-01-01 00:00:00.000001"],
            "detected_at": [dt.datetime(2026, 1, 1)],  # noqa: DTZ001 - a naive time is the case
            "other": pl.Series([NEW_YEAR]).dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ns"),
            "text": ["2026-01-01"],
        }
    )
    conformed = conform_times(frame)
    assert conformed.dtypes == [UTC, UTC, UTC, pl.String]
    assert conformed.row(0) == (NEW_YEAR.replace(microsecond=1), NEW_YEAR, NEW_YEAR, "2026-01-01")


def test_an_unknown_time_zone_is_named() -> None:
    with pytest.raises(FrameError, match="Mars/Olympus"):
        conform_observations(build_rows(["2026-01-01"]), "b", "Mars/Olympus")


@given(
    st.datetimes(min_value=NEW_YEAR.replace(year=1980, tzinfo=None), max_value=NEW_YEAR.replace(year=2100, tzinfo=None)),
    st.sampled_from([" ", "T"]),
    st.sampled_from([-720, 0, 330, 840]),
)
def test_every_zoned_iso_text_is_read_as_python_reads_it(moment: dt.datetime, separator: str, offset: int) -> None:
    zoned = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=offset)))
    read = conform_times(pl.DataFrame({"created": [zoned.isoformat(sep=separator)]}))["created"][0]
    assert read == zoned


def test_mappings_of_mixed_times_are_read_row_by_row() -> None:
    aware = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    elsewhere = aware.astimezone(dt.timezone(dt.timedelta(hours=5)))
    times = [aware, aware.replace(tzinfo=None), "2026-01-01T12:00+01:00", aware.date(), elsewhere, "soon"]
    rows = [{"metric_timestamp": time, "metric_name": "orders", "metric_value": 1, "unused": at or [at]} for at, time in enumerate(times)]

    conformed = conform_observations(as_polars(rows), "shop", "Europe/Berlin")

    assert conformed.rejected["metric_timestamp"].to_list() == ["soon"]
    assert sorted(conformed.observations["metric_timestamp"].dt.strftime("%d %H")) == ["01 11", "01 12", "31 23"]


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ([Decimal("NaN"), Decimal("-Infinity"), Decimal("1.5")], [None, None, 1.5]),
        ([1, "n/a", 10**30], [1.0, 1e30]),
    ],
)
def test_odd_numbers_of_mappings_do_not_hold_up_their_neighbours(values: list[object], taken: list[float | None]) -> None:
    rows = [{"metric_timestamp": "2026-01-01", "metric_name": f"m{at}", "metric_value": value} for at, value in enumerate(values)]

    assert conform_observations(as_polars(rows), "shop", "UTC").observations["metric_value"].to_list() == taken
