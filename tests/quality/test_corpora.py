"""Where labelled series come from: files of a folder, simulated noise, noise with events."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.corpus import find_runs, load_corpora
from benchmarks.injected import INJECTIONS, build_injected
from benchmarks.nulls import KINDS, Clock, build_nulls

CLOCK = Clock(3600.0, 24, 2000, 2)


def write(folder: Path, name: str, series: str = "a", **columns: Any) -> None:
    rows = 100
    table = {
        "series": [series] * rows,
        "timestamp": [datetime(2024, 1, 1) + timedelta(minutes=5) * row for row in range(rows)],  # noqa: DTZ001 - files hold naive UTC
        "value": np.arange(rows, dtype=np.float64),
        "label": [0] * 50 + [1] * 3 + [0] * 40 + [1] * 2 + [2] * 5,
    }
    pl.DataFrame({**table, **columns}).write_parquet(folder / f"{name}.parquet")


def test_the_windows_of_a_file_are_its_runs_of_labels(tmp_path: Path) -> None:
    write(tmp_path, "shop")
    (series,) = load_corpora(tmp_path)["shop"]
    assert (series.name, series.windows, series.first, series.step) == ("a", ((50, 52), (93, 94)), 15, 300.0)
    assert series.seconds[0] == 1_704_067_200


def test_the_windows_beside_a_file_count_instead(tmp_path: Path) -> None:
    write(tmp_path, "shop")
    (tmp_path / "shop_windows.json").write_text(json.dumps({"a": [["2024-01-01 04:00:00.000000", "2024-01-01 04:30:00.000000"]]}))
    assert load_corpora(tmp_path)["shop"][0].windows == ((48, 54),)


def test_a_window_between_rows_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "shop")
    (tmp_path / "shop_windows.json").write_text(json.dumps({"a": [["2024-01-01 04:00:01", "2024-01-01 04:30:00"]]}))
    with pytest.raises(ValueError, match=r"2024-01-01 04:00:01.*no row"):
        load_corpora(tmp_path)


@pytest.mark.parametrize(("given", "first"), [({}, 15), ({"shop": 40}, 40), ({"shop": 4}, 15), ({"other": 40}, 15)])
def test_evaluation_begins_behind_the_probation_or_later(tmp_path: Path, given: dict[str, int], first: int) -> None:
    write(tmp_path, "shop")
    assert load_corpora(tmp_path, given)["shop"][0].first == first


def test_zoned_times_and_integer_values_are_read_alike(tmp_path: Path) -> None:
    zoned = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 1, 8, 15), "5m", time_zone="UTC", eager=True)  # noqa: DTZ001
    write(tmp_path, "shop", timestamp=zoned, value=np.arange(100))
    (series,) = load_corpora(tmp_path)["shop"]
    assert series.seconds[0] == 1_704_067_200
    assert series.values.dtype == np.float64


def test_times_of_another_zone_are_moved_to_utc(tmp_path: Path) -> None:
    zoned = pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 1, 8, 15), "5m", time_zone="Europe/Berlin", eager=True)  # noqa: DTZ001
    write(tmp_path, "shop", timestamp=zoned)
    assert load_corpora(tmp_path)["shop"][0].seconds[0] == 1_704_067_200 - 3600


@pytest.mark.parametrize(("times", "found"), [(list(range(100)), "Int64"), ([None] * 100, "100 nulls"), (["2024-01-01"] * 100, "String")])
def test_times_that_are_none_are_an_error(tmp_path: Path, times: list[Any], found: str) -> None:
    write(tmp_path, "shop", timestamp=times)
    with pytest.raises(ValueError, match=rf"shop\.parquet: the column timestamp holds {found}"):
        load_corpora(tmp_path)


def test_a_missing_value_is_no_number_and_a_missing_label_is_normal(tmp_path: Path) -> None:
    write(tmp_path, "shop", value=[None] + [1.0] * 99, label=[None, *[0] * 99])
    (series,) = load_corpora(tmp_path)["shop"]
    assert np.isnan(series.values[0])
    assert series.labels.tolist() == [0] * 100


def test_a_folder_without_files_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no parquet files.*series, timestamp, value, label"):
        load_corpora(tmp_path)


def test_a_file_without_a_column_is_named_with_it(tmp_path: Path) -> None:
    pl.DataFrame({"series": ["a"], "value": [1.0], "label": [0]}).write_parquet(tmp_path / "broken.parquet")
    with pytest.raises(ValueError, match=r"broken\.parquet: has no column timestamp"):
        load_corpora(tmp_path)


@pytest.mark.parametrize(("labels", "runs"), [([], ()), ([0, 0], ()), ([1], ((0, 0),)), ([1, 1, 0, 1], ((0, 1), (3, 3)))])
def test_runs_are_told_by_their_first_and_last_rows(labels: list[int], runs: Any) -> None:
    assert find_runs(np.array(labels)) == runs


def test_noise_is_of_every_kind_and_the_same_on_each_call() -> None:
    made, again = build_nulls(CLOCK), build_nulls(CLOCK)
    assert [series.name for series in made] == [f"{kind}/{number}" for kind in KINDS for number in range(2)]
    assert len({series.values.tobytes() for series in made}) == 2 * len(KINDS)
    for one, other in zip(made, again, strict=True):
        assert np.array_equal(one.values, other.values)
        assert np.isfinite(one.values).all()
        assert not one.labels.any()
        assert (one.first, one.step) == (len(one.values) // 5, 3600.0)
        assert len(one.values) == len(one.seconds)
    assert {len(series.values) for series in made if not series.name.startswith("gaps/")} == {2000}


def test_noise_with_gaps_lacks_three_weeks_and_rows_here_and_there() -> None:
    steps = np.concatenate([np.diff(series.seconds) for series in build_nulls(CLOCK) if series.name.startswith("gaps/")]) / 3600
    assert (steps > 21 * 24).sum() == 2
    assert 0.02 < ((steps > 1) & (steps < 24)).mean() < 0.08


@pytest.mark.parametrize(
    ("kind", "lag", "least", "most"), [("normal", 1, -0.1, 0.1), ("autoregressive", 1, 0.85, 0.95), ("season", 24, 0.9, 1)]
)
def test_noise_has_the_memory_that_its_name_tells(kind: str, lag: int, least: float, most: float) -> None:
    series = next(series for series in build_nulls(CLOCK) if series.name == f"{kind}/0")
    assert least < np.corrcoef(series.values[lag:], series.values[:-lag])[0, 1] < most


def test_events_are_put_where_the_labels_say_and_nowhere_else() -> None:
    lengths = set()
    for before, after in zip(build_nulls(CLOCK), build_injected(CLOCK), strict=True):
        assert after.windows == find_runs(after.labels)
        assert all(first >= after.first for first, _ in after.windows)
        assert not (before.values != after.values)[after.labels == 0].any()
        lengths |= {last - first + 1 for first, last in after.windows}
    assert lengths == {injection.rows for injection in INJECTIONS.values()}
