"""The quality benchmark as it is run, on a small folder."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from anomflow.calibration import threshold
from benchmarks.corpus import Labelled
from benchmarks.judging import judge
from benchmarks.quality import main

ROWS = 700


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    parts = []
    for number, name in enumerate(("web/a", "web/b", "shop/c")):
        labels = np.zeros(ROWS, np.uint8)
        labels[[400 + number, 401 + number]] = 1
        values = np.random.RandomState(number).normal(size=ROWS) + 15 * labels
        times = [datetime(2024, 1, 1) + timedelta(hours=row) for row in range(ROWS)]  # noqa: DTZ001 - files hold naive UTC
        parts.append(pl.DataFrame({"series": name, "timestamp": times, "value": values, "label": labels}))
    pl.concat(parts).write_parquet(tmp_path / "small.parquet")
    return tmp_path


def run(folder: Path, *arguments: str) -> Any:
    out = folder / "out.json"
    assert main(["--data", str(folder), "--json", str(out), *arguments]) == 0
    results = json.loads(out.read_text())
    for figures in results["small"].values():
        assert figures.pop("microseconds_a_row") > 0
    return results


def test_figures_and_tables_tell_that_clear_events_are_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(folder, "--processes", "1", "--detector", "default", "--detector", "anomstack")["small"]
    ours = figures["default"]
    assert (ours["events"], ours["best"]["f1"], ours["default"]["recall"]) == (3, 1.0, 1.0)
    assert ours["metric_months"] == pytest.approx(3 * 595 / 720)
    assert set(ours["asked"]) == {"0.5", "1", "2", "4", "8"}
    assert set(ours["groups"]) == {"web", "shop"}
    assert figures["anomstack"]["asked"] is None
    told = capsys.readouterr().out
    assert "small: 3 series, 2,100 rows" in told
    assert "1.000 (1.00, 1.00)" in told


def test_odd_series_are_measured_beside_the_others(folder: Path) -> None:
    odd = {"one row": [1.0], "two rows": [1.0, 2.0], "no value": [None] * 30, "constant": [5.0] * 400}
    parts = [
        pl.DataFrame(
            {
                "series": name,
                "timestamp": [datetime(2024, 1, 1) + timedelta(days=row) for row in range(len(values))],  # noqa: DTZ001
                "value": pl.Series(values, dtype=pl.Float64),
                "label": pl.Series([1] + [0] * (len(values) - 1), dtype=pl.UInt8),
            }
        )
        for name, values in odd.items()
    ]
    pl.concat([pl.read_parquet(folder / "small.parquet"), *parts]).write_parquet(folder / "small.parquet")
    pl.concat(parts).write_parquet(folder / "tiny.parquet")
    results = run(folder, "--processes", "1", "--detector", "default", "--detector", "anomstack")
    assert results["small"]["default"]["series"] == 7
    assert results["small"]["default"]["default"]["found"] == 3
    assert results["tiny"]["default"]["default"]["false"] == 0


def test_figures_are_the_same_on_one_process_and_on_two(folder: Path) -> None:
    assert run(folder, "--processes", "1", "--detector", "default") == run(folder, "--processes", "2", "--detector", "default")


def test_models_of_pyod_are_measured_by_their_names(folder: Path) -> None:
    figures = run(folder, "--processes", "1", "--detector", "PCA+HBOS")["small"]["PCA+HBOS"]
    assert figures["best"]["recall"] > 0
    assert figures["asked"] is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--detector", "KNNN"], "KNN"),
        (["--only", "other"], "there are: small"),
    ],
)
def test_a_wrong_argument_is_told(folder: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(folder), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_empty_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "no parquet files" in capsys.readouterr().err


def build(values: np.ndarray, seconds: np.ndarray) -> Labelled:
    return Labelled("a", seconds, values, np.zeros(len(values), np.uint8), (), 0)


def test_rows_out_of_order_and_twice_get_scores_where_they_stand_in_the_file() -> None:
    values, seconds = np.random.RandomState(0).normal(size=ROWS), 3600.0 * np.arange(ROWS)
    values[500] = 20.0
    plain = judge(build(values, seconds), "default")
    order = np.arange(ROWS)
    order[[500, 501]] = [501, 500]
    doubled = np.append(order, 500)  # the spike comes last once more
    again = judge(build(values[doubled], seconds[doubled]), "default")
    assert again.onset[-1] == plain.onset[500]
    assert again.onset[501] == -np.inf  # replaced by the row that came last
    assert again.onset[500] == plain.onset[501]
    assert ROWS in again.by_default.reached
    assert 500 in plain.by_default.reached


def test_what_reaches_a_threshold_is_what_production_would_alert_on() -> None:
    values = np.random.RandomState(3).normal(size=2000)
    judged = judge(build(values, 3600.0 * np.arange(2000)), "default")
    for rate, told in judged.asked.items():
        assert told.reached.tolist() == np.flatnonzero(judged.onset >= threshold(3600.0, rate)).tolist()
        assert set(told.told) <= set(told.reached)
        assert (np.diff(told.told) > 10).all()


def test_a_row_without_value_gets_no_score() -> None:
    values = np.random.RandomState(0).normal(size=ROWS)
    values[300] = np.nan
    for detector in ("default", "anomstack"):
        judged = judge(build(values, 3600.0 * np.arange(ROWS)), detector)
        assert judged.onset[300] == -np.inf
        assert np.isfinite(judged.onset[301:]).all()
