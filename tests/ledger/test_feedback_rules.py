"""What feedback does to thresholds: never more alerts, within its bounds, and what takes part in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow import calibration
from anomflow.decisions.anomaly import find_anomalies
from anomflow.feedback import find_adjustments
from anomflow.frames import ALERTS, SCORES
from anomflow.ledger.states import AlertState, mark_reason
from anomflow.sections.alerts import AlertSpec, FeedbackSpec
from tests.ledger.ledger_story import at

NOW = at(60 * 24 * 100)
DAY = timedelta(days=1)
NAMES = ("orders", "visits")


def opinion(word: str | None = "down", score: float = 0.9, days: float = 1, **changes: Any) -> dict[str, Any]:
    row = {
        "alert_id": f"{word}{score}{days}",
        "metric_batch": "shop",
        "metric_name": "orders",
        "kind": "anomaly",
        "metric_timestamp": NOW - days * DAY,
        "anomaly_score": score,
        "reason": "shift 5.1",
        "status": "open",
        "feedback": word,
    }
    return {**row, **changes}


def opinions(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=ALERTS.columns)


def scores(*values: float, name: str = "orders", step: float = 3600.0) -> pl.DataFrame:
    rows = [
        {"metric_name": name, "metric_timestamp": at(place), "anomaly_score": value, "step_seconds": step}
        for place, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCORES)


def threshold(*said: dict[str, Any], alert: AlertSpec | None = None, **settings: Any) -> float:
    """Return the threshold of `orders` after what was said."""
    adjustments = find_adjustments(opinions(*said), FeedbackSpec(**settings), NOW)
    return float(find_anomalies(scores(0.5), alert or AlertSpec(), adjustments)[0]["threshold"].item())


def asked(false_alarms: float) -> float:
    return float(calibration.anomaly_score(calibration.threshold(3600.0, false_alarms)))


@pytest.mark.parametrize(
    ("said", "false_alarms"),
    [
        ([], 2.0),
        ([opinion()], 1.0),
        ([opinion(), opinion(days=2)], 0.5),
        ([opinion(days=day) for day in range(7)], 0.25),
        ([opinion(), opinion("up")], 2.0),
        ([opinion(), opinion(days=2), opinion("up")], 1.0),
        ([opinion("up"), opinion("up", days=2)], 2.0),
        ([opinion("expected")], 2.0),
        ([opinion(metric_name="visits")], 2.0),
        ([opinion(kind="threshold")], 2.0),
        ([opinion(days=91)], 2.0),
        ([opinion(days=-1)], 2.0),
        ([opinion(status="resolved", reason=mark_reason("shift", AlertState.CORRECTED))], 2.0),
        ([opinion(status="resolved", reason=mark_reason("shift", AlertState.BY_HAND))], 1.0),
    ],
)
def test_each_rejected_alert_more_than_confirmed_halves_the_false_alarms(said: list[dict[str, Any]], false_alarms: float) -> None:
    assert threshold(*said) == pytest.approx(asked(false_alarms), rel=1e-9)


def test_settings_bound_how_long_and_how_far_feedback_reaches() -> None:
    said = [opinion(days=day) for day in (1, 8, 9)]
    assert threshold(*said, feedback_days=7) == pytest.approx(asked(1.0))
    assert threshold(*said, feedback_max_factor=2) == pytest.approx(asked(1.0))
    assert threshold(*said, feedback_max_factor=1) == pytest.approx(asked(2.0))


def test_a_threshold_rises_to_just_above_what_was_rejected_and_no_further() -> None:
    base = asked(2.0)
    raised = threshold(*(opinion(score=base, days=day) for day in range(1, 4)))
    assert base < raised < base + 0.03
    assert threshold(opinion(score=0.3)) == base


def test_a_given_threshold_stays() -> None:
    assert threshold(opinion(), opinion(days=2), alert=AlertSpec(alert_threshold=0.6)) == 0.6


@pytest.mark.parametrize("step", [60.0, 3600.0, 86_400.0])
def test_the_like_of_a_rejected_alert_is_none_at_any_step(step: float) -> None:
    base = float(calibration.anomaly_score(calibration.threshold(step, 2.0)))
    adjustments = find_adjustments(opinions(opinion(score=base + 0.01)), FeedbackSpec(), NOW)
    found = scores(base, base + 0.01, 0.9999, step=step)
    assert len(find_anomalies(found, AlertSpec())[1]) == 3
    assert [alert.anomaly_score for alert in find_anomalies(found, AlertSpec(), adjustments)[1]] == [0.9999]


def test_the_reason_says_that_the_threshold_was_raised() -> None:
    adjustments = find_adjustments(opinions(opinion(), opinion(days=2)), FeedbackSpec(), NOW)
    rows = pl.concat([scores(0.99).with_columns(explanation=pl.lit("shift 5.1")), scores(0.99, name="visits")])
    raised, other = (alert.reason for alert in find_anomalies(rows, AlertSpec(), adjustments)[1])
    assert raised == "shift 5.1; threshold raised by 2 rejected alerts"
    assert "raised" not in other


_SAID = st.builds(
    opinion,
    st.sampled_from(["up", "down", "expected", None]),
    st.floats(0, 1),
    st.floats(-2, 120),
    metric_name=st.sampled_from(NAMES),
    kind=st.sampled_from(["anomaly", "threshold", "freshness"]),
)


@given(st.lists(_SAID, max_size=12), st.lists(st.floats(0, 1), max_size=20), st.sampled_from([None, 0.7]), st.randoms())
def test_no_feedback_ever_makes_an_alert(said: list[dict[str, Any]], values: list[float], fixed: float | None, order: Any) -> None:
    spec = AlertSpec(alert_threshold=fixed)
    rows = pl.concat([scores(*values, name=name) for name in NAMES])
    adjustments = find_adjustments(opinions(*said), FeedbackSpec(), NOW)
    order.shuffle(said)
    assert find_adjustments(opinions(*said), FeedbackSpec(), NOW) == adjustments
    without, alerts = find_anomalies(rows, spec)
    judged, fewer = find_anomalies(rows, spec, adjustments)
    assert {(alert.metric_name, alert.metric_timestamp) for alert in fewer} <= {
        (alert.metric_name, alert.metric_timestamp) for alert in alerts
    }
    assert (judged["threshold"] >= without["threshold"]).all()
    assert (judged["threshold"] <= asked(0.25) + 1e-12).all() or fixed is not None
