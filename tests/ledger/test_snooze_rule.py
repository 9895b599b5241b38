from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.decisions.snooze import Opened, Rules, find_verdict, find_verdicts
from tests.ledger.ledger_story import at, candidate

RULES = Rules(as_of=at(60))
DAY_MINUTES = 24 * 60


@pytest.mark.parametrize(
    ("opened", "status"),
    [
        pytest.param([], "open", id="nothing near"),
        pytest.param([19], "open", id="a row further back than the snooze"),
        pytest.param([20], "snoozed", id="the last row of the snooze before it"),
        pytest.param([29], "snoozed", id="just before it"),
        pytest.param([31], "snoozed", id="just after it: the row arrived late"),
        pytest.param([40], "snoozed", id="the last row of the snooze after it"),
        pytest.param([41], "open", id="a row further on than the snooze"),
        pytest.param([19, 41], "open", id="one beyond either side"),
        pytest.param([19, 40], "snoozed", id="one is near enough"),
    ],
)
def test_an_opened_alert_silences_rows_on_either_side(opened: list[int], status: str) -> None:
    verdict = find_verdict(candidate(30, reach=10), [Opened(at(minute)) for minute in opened], RULES)
    assert verdict.status == status


@pytest.mark.parametrize(("before", "after", "status"), [(True, False, "snoozed"), (False, True, "snoozed"), (False, False, "open")])
def test_where_the_metric_has_fewer_rows_the_snooze_has_no_end(before: bool, after: bool, status: str) -> None:
    opened = [Opened(at(-9999))] * before + [Opened(at(9999))] * after
    assert find_verdict(candidate(30, reach=None), opened, RULES).status == status


def test_the_verdict_names_the_alert_that_snoozes() -> None:
    assert find_verdict(candidate(30, reach=10), [Opened(at(25))], RULES).note == "near the alert of 2024-03-01 00:25:00 UTC"


@pytest.mark.parametrize(
    ("minutes_old", "status"),
    [(0, "open"), (DAY_MINUTES, "open"), (DAY_MINUTES + 0.001, "late"), (-5, "open")],
)
def test_a_point_older_than_its_limit_is_late(minutes_old: float, status: str) -> None:
    found = candidate(60 - minutes_old, max_age=timedelta(days=1))
    assert find_verdict(found, [], RULES).status == status


def test_late_comes_before_snoozed_and_does_not_snooze() -> None:
    old, young = candidate(0, reach=None, max_age=timedelta(0)), candidate(30, reach=None)
    assert [verdict.status for _, verdict in find_verdicts([young, old], [], RULES)] == ["late", "open"]
    assert find_verdict(old, [Opened(at(1))], RULES).status == "late"


def test_candidates_are_decided_in_order_of_time_with_a_fixed_window() -> None:
    rows = [candidate(minute, reach=10) for minute in (25, 10, 15, 20, 21, 31)]
    decided = {one.metric_timestamp: verdict.status for one, verdict in find_verdicts(rows, [], RULES)}
    # The window of 10 ends at 20: snoozed rows do not make it longer.
    assert [decided[at(minute)] for minute in (10, 15, 20, 21, 25, 31)] == ["open", "snoozed", "snoozed", "open", "snoozed", "snoozed"]


def test_information_is_never_snoozed_but_may_be_late() -> None:
    rules = Rules(at(60), snoozes=False, budget=0)
    assert find_verdict(candidate(30, reach=None), [Opened(at(30), 1.0)], rules).status == "open"
    assert find_verdict(candidate(30, max_age=timedelta(minutes=1)), [], rules).status == "late"


@pytest.mark.parametrize(
    ("scores", "days_before", "status"),
    [
        pytest.param([0.9, 0.9], 1, "open", id="fewer than the budget"),
        pytest.param([0.9, 0.9, 0.9], 1, "snoozed", id="as many as the budget, as high"),
        pytest.param([0.9, 0.9, 0.8], 1, "open", id="higher than one of them"),
        pytest.param([0.8] * 9, 1, "open", id="a higher peak always may"),
        pytest.param([0.9, 0.9, None], 1, "open", id="one without a score"),
        pytest.param([0.9, 0.9, 0.9], 30, "snoozed", id="thirty days ago"),
        pytest.param([0.9, 0.9, 0.9], 30.001, "open", id="longer ago than thirty days"),
        pytest.param([0.9, 0.9, 0.9], -1, "open", id="later ones do not count"),
    ],
)
def test_the_budget_holds_back_what_is_no_higher(scores: list[float | None], days_before: float, status: str) -> None:
    opened = [Opened(at(30) - timedelta(days=days_before), score) for score in scores]
    verdict = find_verdict(candidate(30, anomaly_score=0.9), opened, Rules(at(60), budget=3))
    assert (verdict.status, verdict.note) == (status, "3 alerts of the 30 days before were as high" if status == "snoozed" else None)


@given(st.lists(st.integers(0, 200), unique=True), st.integers(0, 20))
def test_opened_alerts_of_one_run_are_never_near_each_other_and_none_is_snoozed_alone(minutes: list[int], reach: int) -> None:
    decided = find_verdicts([candidate(minute, reach=reach) for minute in minutes], [], Rules(at(200)))
    opened = [one.metric_timestamp for one, verdict in decided if verdict.status == "open"]
    silenced = [one for one, verdict in decided if verdict.status == "snoozed"]
    assert all(later - earlier > timedelta(minutes=reach) for earlier, later in pairwise(opened))
    assert all(any(one.snooze_from <= time <= one.snooze_until for time in opened) for one in silenced)
    assert len(opened) + len(silenced) == len(minutes)


@given(st.permutations([candidate(minute, reach=15, anomaly_score=0.5 + minute / 500) for minute in range(0, 120, 9)]))
def test_the_order_in_which_candidates_are_handed_over_does_not_matter(shuffled: list) -> None:
    rules = Rules(at(120), budget=4)
    assert find_verdicts(shuffled, [], rules) == find_verdicts(sorted(shuffled, key=lambda one: one.metric_timestamp), [], rules)
