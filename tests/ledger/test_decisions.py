from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from anomflow import calibration
from anomflow.decisions.anomaly import find_anomalies, find_budget, parse_min_change
from anomflow.decisions.candidate import Candidate, Judgements
from anomflow.decisions.flatline import find_flatlines
from anomflow.decisions.names import is_selected
from anomflow.decisions.neighbours import Placement, place_candidates
from anomflow.decisions.newest import find_newest
from anomflow.decisions.threshold import find_breaches
from anomflow.frames import SCORES
from anomflow.sections.alerts import AlertSpec, ThresholdSpec
from tests.ledger.ledger_story import at, candidate

HOUR = 3600.0


def score(minute: float = 0, **changes: Any) -> dict[str, Any]:
    """Return a scored row: value 20 where 10 is expected, score 0.9."""
    row = {
        "metric_name": "orders",
        "metric_timestamp": at(minute),
        "metric_value": 20.0,
        "anomaly": 2.86,
        "anomaly_score": 0.9,
        "surprise": 4.2,
        "expected": 10.0,
        "expected_low": 8.0,
        "expected_high": 12.0,
        "explanation": "shift 5.1",
        "flat_rows": 0,
        "step_seconds": HOUR,
        "snooze_from": at(minute - 5),
        "snooze_until": None,
    }
    return {**row, **changes}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCORES)


def observations(*rows: tuple[str, float, float | None]) -> pl.DataFrame:
    columns = ("metric_name", "metric_timestamp", "metric_value")
    return pl.DataFrame(
        [(name, at(minute), value) for name, minute, value in rows], schema={name: SCORES[name] for name in columns}, orient="row"
    )


def alerting(scores: pl.DataFrame, **settings: Any) -> list[str]:
    return [found.metric_name for found in find_anomalies(scores, AlertSpec(**settings))[1]]


def test_a_candidate_carries_all_that_the_ledger_keeps() -> None:
    _, (found,) = find_anomalies(frame(score(3)), AlertSpec())
    assert found == Candidate("orders", "anomaly", at(3), 20.0, 8.0, 12.0, 0.9, 4.2, "shift 5.1", timedelta(hours=24), at(-2), None)


def test_the_threshold_follows_from_each_metrics_own_step() -> None:
    judged, _ = find_anomalies(frame(score(step_seconds=60.0), score(step_seconds=86400.0), score(step_seconds=None)), AlertSpec())
    expected = [float(calibration.anomaly_score(calibration.threshold(step, 2.0))) for step in (60.0, 86400.0)]
    assert judged["threshold"].to_list() == [*expected, None]
    assert judged.schema == SCORES


@pytest.mark.parametrize(
    ("changes", "settings", "alerts"),
    [
        pytest.param({"anomaly_score": 0.8}, {"alert_threshold": 0.8}, True, id="on the threshold"),
        pytest.param({"anomaly_score": 0.79999}, {"alert_threshold": 0.8}, False, id="just below it, though it rounds to it"),
        pytest.param({"anomaly_score": 0.5}, {}, False, id="below what the false alarms ask for"),
        pytest.param({"anomaly_score": 0.99}, {}, True, id="above it"),
        pytest.param({"anomaly_score": 0.99, "step_seconds": None}, {}, False, id="no step, no threshold"),
        pytest.param({"anomaly_score": 0.99, "step_seconds": None}, {"alert_threshold": 0.8}, True, id="no step, but a given threshold"),
        pytest.param({"anomaly_score": None, "reason": "cold_start"}, {}, False, id="not scored"),
        pytest.param({"anomaly_score": float("nan")}, {}, False, id="a score that is no number"),
        pytest.param({}, {"alert_direction": "up"}, True, id="up, above"),
        pytest.param({}, {"alert_direction": "down"}, False, id="down, but above"),
        pytest.param({"metric_value": 1.0}, {"alert_direction": "down"}, True, id="down, below"),
        pytest.param({"metric_value": 1.0}, {"alert_direction": "up"}, False, id="up, but below"),
        pytest.param({"metric_value": 10.0}, {"alert_direction": "up"}, False, id="up, exactly as expected"),
        pytest.param({"expected": None}, {"alert_direction": "down"}, True, id="nothing expected: no side to judge"),
        pytest.param({}, {"alert_min_change": 10}, True, id="as far as the smallest change"),
        pytest.param({}, {"alert_min_change": 10.5}, False, id="nearer than the smallest change"),
        pytest.param({}, {"alert_min_change": "100%"}, True, id="as far as the smallest share"),
        pytest.param({}, {"alert_min_change": "101 %"}, False, id="nearer than the smallest share"),
        pytest.param({"expected": -10.0, "metric_value": -20.0}, {"alert_min_change": "100%"}, True, id="a share of a negative value"),
        pytest.param({"expected": None}, {"alert_min_change": 10}, True, id="nothing expected: no change to judge"),
        pytest.param({}, {"alert_exclude_metrics": "ord*"}, False, id="excluded by a pattern"),
        pytest.param({}, {"alert_include_metrics": "visits"}, False, id="not included"),
        pytest.param({}, {"alert_include_metrics": "visits, orders"}, True, id="included by name"),
    ],
)
def test_which_row_is_a_candidate(changes: dict[str, Any], settings: dict[str, Any], alerts: bool) -> None:
    assert alerting(frame(score(**changes)), **settings) == ["orders"] * alerts


@pytest.mark.parametrize(
    ("name", "include", "exclude", "selected"),
    [
        ("orders", (), (), True),
        ("orders", ("*",), ("orders",), False),
        ("Orders", ("orders",), (), False),
        ("a.b", ("a*b",), (), True),
        ("axb", ("a.b",), (), False),
        ("a\nb", ("a*",), (), True),
        ("a[1]", ("a[1]",), (), True),
        ("a1", ("a[1]",), (), False),
        ("a'; drop table x; --", ("a'; drop*",), (), True),
    ],
)
def test_only_the_star_of_a_pattern_has_a_meaning(name: str, include: tuple[str, ...], exclude: tuple[str, ...], selected: bool) -> None:
    assert is_selected(name, include, exclude) is selected


@pytest.mark.parametrize(
    ("value", "parsed"), [(None, (0.0, False)), (5, (5.0, False)), ("2.5", (2.5, False)), ("10%", (0.1, True)), (" 10 % ", (0.1, True))]
)
def test_a_smallest_change_is_a_number_or_a_share(value: Any, parsed: tuple[float, bool]) -> None:
    assert parse_min_change(value) == parsed


@pytest.mark.parametrize("value", ["ten", "10%%", "", "%", "-1", "inf", "nan%"])
def test_another_smallest_change_is_refused_with_what_is_allowed(value: str) -> None:
    with pytest.raises(ValueError, match="a percentage such as 10%"):
        parse_min_change(value)


@pytest.mark.parametrize(
    ("settings", "step", "hours"),
    [({}, HOUR, 24), ({}, 86400.0, 72), ({"alert_threshold": 0.5}, None, 24), ({"alert_max_age": "36h"}, 86400.0, 36)],
)
def test_an_alert_may_be_a_day_or_three_steps_old(settings: dict[str, Any], step: float | None, hours: int) -> None:
    _, (found,) = find_anomalies(frame(score(step_seconds=step)), AlertSpec(**{"alert_threshold": 0.5, **settings}))
    assert found.max_age == timedelta(hours=hours)


@pytest.mark.parametrize(("wanted", "budget"), [(2.0, 5), (0.5, 4), (2.1, 6)])
def test_the_budget_is_three_more_than_the_false_alarms(wanted: float, budget: int) -> None:
    assert find_budget(AlertSpec(alert_false_alarms_per_month=wanted)) == budget


def test_a_row_without_explanation_says_its_score() -> None:
    _, (found,) = find_anomalies(frame(score(explanation=None)), AlertSpec(alert_threshold=0.8))
    assert found.reason == "anomaly score 0.9, threshold 0.8"


def test_a_flat_line_is_a_candidate_at_the_row_where_it_gets_too_long() -> None:
    judged, (found,) = find_flatlines(frame(score(1), score(2, flat_rows=72)), AlertSpec())
    assert (found.kind, found.metric_timestamp, found.anomaly_score) == ("flatline", at(2), None)
    assert found.reason == "the value has not changed for 72 rows"
    assert judged.height == 2


@pytest.mark.parametrize("settings", [{"disable_flatline": True}, {"alert_exclude_metrics": "orders"}])
def test_a_flat_line_that_nobody_wants_is_not_judged(settings: dict[str, Any]) -> None:
    judged, found = find_flatlines(frame(score(2, flat_rows=72)), AlertSpec(**settings))
    assert (judged.height, found) == (0, ())


def test_always_tells_of_the_newest_scored_point_of_each_metric() -> None:
    rows = frame(score(2), score(1), score(3, anomaly_score=None, reason="cold_start"), score(1, metric_name="visits", anomaly_score=0.1))
    judged, found = find_newest(rows, AlertSpec(alert_always=True))
    assert [(one.kind, one.metric_name, one.metric_timestamp) for one in found] == [("info", "orders", at(2)), ("info", "visits", at(1))]
    assert judged.height == 2
    assert find_newest(rows, AlertSpec())[1] == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(12.5, "12.5 is 2.5 above the upper bound 10", id="above"),
        pytest.param(10.0, None, id="on the upper bound"),
        pytest.param(5.0, None, id="between"),
        pytest.param(2.0, None, id="on the lower bound"),
        pytest.param(-1.0, "-1 is 3 below the lower bound 2", id="below"),
        pytest.param(None, None, id="no value"),
        pytest.param(float("nan"), None, id="no number"),
    ],
)
def test_a_breach_is_strictly_beyond_a_bound(value: float | None, reason: str | None) -> None:
    spec = ThresholdSpec(tholdalert_thresholds={"orders": {"upper": 10, "lower": 2}})
    judged, found = find_breaches(observations(("orders", 1, value)), spec)
    assert [one.reason for one in found] == ([] if reason is None else [reason])
    assert judged.height == 1


@pytest.mark.parametrize(
    ("settings", "judged", "breaches"),
    [
        pytest.param({"tholdalert_thresholds": {"orders": {"lower": 2}}}, 1, ["orders"], id="one bound only"),
        pytest.param({"tholdalert_thresholds": {"orders": {}}}, 0, [], id="no bound"),
        pytest.param({"tholdalert_thresholds": {"orders": {"lower": 2}}, "tholdalert_exclude_metrics": "orders"}, 0, [], id="excluded"),
        pytest.param({"tholdalert_thresholds": {"orders": {"lower": 2}}, "disable_tholdalert": True}, 0, [], id="switched off"),
        pytest.param({}, 0, [], id="no thresholds"),
    ],
)
def test_only_metrics_with_a_bound_are_judged(settings: dict[str, Any], judged: int, breaches: list[str]) -> None:
    rows, found = find_breaches(observations(("orders", 1, 1.0), ("visits", 1, 1.0)), ThresholdSpec(**settings))
    assert (rows.height, [one.metric_name for one in found]) == (judged, breaches)


@pytest.mark.parametrize(
    ("snooze_n", "minute", "reach"),
    [
        pytest.param(0, 50, (50, 50), id="no snooze"),
        pytest.param(2, 50, (30, 70), id="two rows on either side"),
        pytest.param(2, 10, (None, 30), id="fewer before"),
        pytest.param(2, 90, (70, None), id="fewer after"),
        pytest.param(20, 50, (None, None), id="fewer on both sides"),
    ],
)
def test_a_snooze_reaches_exactly_so_many_rows(snooze_n: int, minute: int, reach: tuple[int | None, int | None]) -> None:
    known = observations(*(("orders", row, 1.0) for row in range(90, -1, -10)), ("orders", 50, 1.0), ("visits", 51, 1.0))
    (placed,) = place_candidates([candidate(minute)], known, Placement(snooze_n))
    assert (placed.snooze_from, placed.snooze_until) == tuple(None if end is None else at(end) for end in reach)


def test_a_slow_metric_may_be_three_of_its_steps_old() -> None:
    weekly = observations(*(("orders", week * 7 * 24 * 60, 99.0) for week in range(4)))
    found = find_breaches(weekly, ThresholdSpec(tholdalert_thresholds={"orders": {"upper": 1}}))[1]
    assert {one.max_age for one in found} == {timedelta(weeks=3)}
    assert place_candidates(found[:1], weekly, Placement(1, timedelta(hours=2)))[0].max_age == timedelta(hours=2)


def test_a_candidate_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        candidate(0, metric_timestamp=at(0).replace(tzinfo=None))


def test_judgements_of_one_kind_hold_no_candidates_of_another() -> None:
    with pytest.raises(ValueError, match="record each kind on its own"):
        Judgements("sales", "flatline", at(1), frame(), (candidate(0),))
