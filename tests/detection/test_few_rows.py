"""Few rows and odd shapes: quiet before there is anything to go by, useful soon after, no storm in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from anomflow.backtest import replay_series
from anomflow.backtest.production import build_replay_spec
from anomflow.backtest.replay import replay_scores
from anomflow.backtest.settings import build_batch
from anomflow.decisions.anomaly import find_anomalies
from anomflow.decisions.flatline import find_flatlines
from anomflow.series import SeriesBatch

if TYPE_CHECKING:
    from anomflow.decisions.candidate import Candidate

HOUR = 3600
DAY = 24 * HOUR

SHAPES: dict[str, Any] = {
    "noise": lambda rng, rows: rng.normal(100, 5, rows),
    "wave": lambda rng, rows: 100 + 20 * np.sin(np.arange(rows) / 24 * 2 * np.pi) + rng.normal(0, 2, rows),
    "rounded": lambda rng, rows: rng.normal(100, 2, rows).round(),
    "counts": lambda rng, rows: rng.poisson(5, rows),
    "small counts": lambda rng, rows: rng.poisson(0.3, rows),
    "counts of weekdays": lambda rng, rows: rng.poisson(5 * (np.arange(rows) // 24 % 7 < 5)),
    "constant": lambda _, rows: np.full(rows, 7.0),
    "huge": lambda rng, rows: 1e15 + 1e13 * rng.normal(0, 1, rows),
    "tiny": lambda rng, rows: 1e-12 * (5 + rng.normal(0, 1, rows)),
}


def judge(make: Any, rows: int, step: int, metrics: int) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """Return the anomalies and flat lines (before the snooze) of metrics of one shape, judged row by row."""
    values = np.concatenate([make(np.random.default_rng(seed), rows) for seed in range(metrics)]).astype(float)
    seconds = np.tile(np.arange(rows) * float(step), metrics)
    names = tuple(f"m{seed:03d}" for seed in range(metrics))
    batch = build_batch(None)
    scored = replay_scores(SeriesBatch(names, np.arange(metrics + 1) * rows, seconds, values), build_replay_spec(batch))
    assert scored.failed == {}
    assert scored.scores["expected_low"].is_finite().sum() > 0
    return find_anomalies(scored.scores, batch.spec.alert)[1], find_flatlines(scored.scores, batch.spec.alert)[1]


@pytest.mark.parametrize(("step", "most"), [(HOUR, 0.5), (DAY, 1.0)])  # a metric; 40 days may have 2.7 by the rate that is asked for
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_alerts_before_twenty_rows_and_no_storm_comes_after(shape: str, step: int, most: float) -> None:
    found, flat = judge(SHAPES[shape], 60, step, 50)
    places = [candidate.metric_timestamp.timestamp() / step for candidate in found]
    assert all(place >= 20 for place in places)
    assert len(places) <= most * 50
    assert flat == ()


@pytest.mark.parametrize("step", [HOUR, DAY])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_spike_of_eight_sigma_is_found_from_forty_rows_on(step: int, sign: int) -> None:
    def make(rng: np.random.Generator, rows: int) -> Any:
        return rng.normal(100, 5, rows) + 40 * sign * (np.arange(rows) == 40)

    found = {candidate.metric_name for candidate in judge(make, 41, step, 20)[0] if candidate.metric_timestamp.timestamp() == 40 * step}
    assert len(found) > 10


@pytest.mark.parametrize("shape", ["noise", "wave", "rounded", "counts", "small counts", "counts of weekdays"])
def test_what_takes_few_values_is_no_flat_line(shape: str) -> None:
    assert len(judge(SHAPES[shape], 1200, HOUR, 10)[1]) <= 1


@pytest.mark.parametrize("shape", ["wave", "counts", "rounded"])
def test_weeks_without_rows_and_values_that_are_none_make_no_storm(shape: str) -> None:
    rng = np.random.default_rng(3)
    values = SHAPES[shape](rng, 900).astype(float)
    values[rng.random(900) < 0.1] = np.nan
    seconds = np.arange(900) * HOUR + (np.arange(900) >= 600) * 21 * DAY
    said = replay_series(seconds, values)
    assert said["alert"].sum() <= 15  # 35 days, of which each may have two a month by chance, before the snooze
    assert said.filter(pl.col("value").is_nan())["anomaly_score"].null_count() == np.isnan(values).sum()
    assert said["anomaly_score"][700:].drop_nulls().len() > 0
