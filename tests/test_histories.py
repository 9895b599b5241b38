"""What charts show of a metric: values, ranges, scores and alerts side by side."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl

from anomflow.frames import HISTORY
from anomflow.frames import UTC as TIMES
from anomflow.histories import build_histories, rank_histories

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROWS = {"metric_name": pl.String, "metric_timestamp": TIMES, "metric_type": pl.String, "metric_value": pl.Float64, "metadata": pl.String}
ALERTS = {"metric_name": pl.String, "metric_timestamp": TIMES, "kind": pl.String}


def row(name: str, hour: int, value: float | None) -> tuple[object, ...]:
    return name, NOW + hour * HOUR, "metric", value, None


def score(name: str, hour: int, score: float | None, **facts: object) -> tuple[object, ...]:
    return name, NOW + hour * HOUR, "score", score, json.dumps({"model": "v1", **facts})


def histories(*rows: tuple[object, ...], alerts: tuple[tuple[str, int, str], ...] = ()) -> dict[str, pl.DataFrame]:
    told = [(name, NOW + hour * HOUR, kind) for name, hour, kind in alerts]
    return build_histories(pl.DataFrame(list(rows), schema=ROWS, orient="row"), pl.DataFrame(told, schema=ALERTS, orient="row"))


def test_values_scores_ranges_and_alerts_stand_side_by_side_in_order_of_time():
    found = histories(
        row("a", 1, 2.0),
        row("a", 0, 1.0),
        score("a", 1, 0.9, value=2.0, expected_low=0.5, expected_high=1.5, threshold=0.8),
        alerts=(("a", 1, "anomaly"),),
    )
    assert found["a"].schema == pl.Schema(HISTORY)
    assert found["a"].rows() == [
        (NOW, 1.0, None, None, None, None, None),
        (NOW + HOUR, 2.0, 0.5, 1.5, 0.9, 0.8, "anomaly"),
    ]


def test_metrics_are_apart_and_hostile_names_stay_whole():
    found = histories(row("b", 0, 1.0), row("a'; drop table x; --", 0, 2.0))
    assert list(found) == ["a'; drop table x; --", "b"]
    assert found["b"]["metric_value"].to_list() == [1.0]


def test_two_alerts_of_a_point_are_one_mark():
    found = histories(row("a", 0, 1.0), alerts=(("a", 0, "threshold"), ("a", 0, "anomaly")))
    assert found["a"]["alert"].to_list() == ["anomaly"]


def test_of_resampled_metrics_the_judged_buckets_are_shown():
    rows = [row("a", hour, 1.0) for hour in range(24)]
    found = histories(*rows, score("a", 0, 0.1, value=12.0), score("a", 12, 0.2, value=11.0))
    assert found["a"]["metric_value"].to_list() == [12.0, 11.0]


def test_one_corrected_value_does_not_make_a_metric_look_resampled():
    rows = [row("a", hour, 1.0) for hour in range(24)]
    judged = [score("a", hour, 0.1, value=1.0) for hour in range(22)]
    found = histories(*rows, *judged, score("a", 22, 0.1, value=5.0))
    assert found["a"].height == 24


def test_scores_of_others_are_shown_without_range():
    found = histories(row("a", 0, 1.0), ("a", NOW, "score", 0.7, "no JSON"))
    assert found["a"].rows() == [(NOW, 1.0, None, None, 0.7, None, None)]


def test_nothing_is_no_history():
    assert histories() == {}


def test_metrics_with_alerts_come_first_then_the_highest_score():
    found = histories(
        row("calm", 0, 1.0),
        row("high", 0, 1.0),
        score("high", 0, 0.9, value=1.0),
        row("low", 0, 1.0),
        score("low", 0, 0.1, value=1.0),
        row("told", 0, 1.0),
        alerts=(("told", 0, "threshold"),),
    )
    assert rank_histories(found) == ["told", "high", "low", "calm"]
