"""A batch whose metrics need different detectors: one with a daily course, one that counts packs of a hundred."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.world import START, Clock, World, series

ROWS = 400
# What lies between packs is what is odd: nothing that a detector of values knows.
AUTO = """\
model_selection: auto
model_configs: [{model_name: KNN}]
preprocess_params: {}
preprocess_fn: |
  import polars as pl

  def preprocess(rows, **_):
      return rows.select("metric_timestamp", rest=(pl.col("metric_value") + 50) % 100)
"""


def packs(name: str, count: int, odd: int | None = None) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    held = np.zeros(count)
    for row in range(1, count):
        held[row] = rng.integers(20) if rng.random() < 0.4 else held[row - 1]
    values = 100 * held + rng.normal(0, 1, count)
    if odd is not None:
        values[odd] += 12
    return series(name, count).with_columns(metric_value=pl.Series(values))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shop = World(tmp_path, Clock(START))
    shop.configure(AUTO)
    return shop
