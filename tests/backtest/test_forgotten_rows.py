"""Rows that feedback keeps from being learned, in a replay: judged as when they came, unseen by all that follows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from anomflow.backtest.run import Options, run_backtest
from anomflow.backtest.settings import build_batch
from anomflow.feedback import NO_FEEDBACK, Feedback
from tests.world import at, series

ROWS = series("orders", 300, (150, 151, 220))
SECONDS = ROWS["metric_timestamp"].dt.epoch("s").to_numpy().astype(np.float64)


def replay(rows: pl.DataFrame, *forgotten: int, **settings: Any) -> pl.DataFrame:
    feedback = Feedback(points={"orders": SECONDS[list(forgotten)]}) if forgotten else NO_FEEDBACK
    return run_backtest(rows, build_batch(settings), Options(at(299), trials=0, feedback=feedback)).scores


def without(*rows: int) -> pl.DataFrame:
    return ROWS.with_row_index("row").filter(~pl.col("row").is_in(rows)).drop("row")


@pytest.mark.parametrize("settings", [{}, {"train_max_n": 100}], ids=["one origin", "moving origin"])
def test_no_row_after_a_forgotten_one_has_seen_it(settings: dict[str, Any]) -> None:
    found = replay(ROWS, 150, 151, 220, **settings)
    assert found["metric_timestamp"].to_list() == ROWS["metric_timestamp"].to_list()
    others = found.join(ROWS[[150, 151, 220]], on="metric_timestamp", how="anti")
    columns = ["metric_timestamp", "anomaly", "state", "expected_low", "expected_high"]
    assert others.select(columns).equals(replay(without(150, 151, 220), **settings).select(columns))


def test_a_forgotten_row_is_judged_as_when_it_came() -> None:
    found, whole = replay(ROWS, 150, 151, 220), replay(ROWS)
    assert found["anomaly"][150:152].equals(whole["anomaly"][150:152])
    assert found["anomaly"][220] == replay(without(150, 151))["anomaly"][218]
    assert found["anomaly"][220] > whole["anomaly"][220]


def test_a_metric_may_be_forgotten_whole() -> None:
    assert replay(ROWS.head(3), 0, 1, 2)["reason"].to_list() == ["cold_start"] * 3
