"""Why a point did or did not alert: what was ingested, how it was judged, what the ledger says, what was delivered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anomflow.judging import BEFORE_START, COLD_START, EXCLUDED, IGNORED, NOT_FINITE
from anomflow.ledger.resolutions import find_channel, is_resolution

if TYPE_CHECKING:
    import polars as pl

WHY_NO_SCORE = {
    COLD_START: "the metric has too few rows yet",
    NOT_FINITE: "the value is missing or not finite",
    EXCLUDED: "the settings exclude the metric from scoring",
    BEFORE_START: "it is older than what the metric's first scoring judges (score_max_n)",
    IGNORED: "a planned period covers it (ignore_periods)",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """The rows that speak of one point: its value, its score, its alerts, their deliveries; the detector chosen for its metric.

    ``nearest`` says of a point that is not there what was probably meant.
    """

    value: float | None
    exists: bool
    score: Mapping[str, Any] | None
    alerts: pl.DataFrame
    deliveries: pl.DataFrame
    detector: str | None = None
    nearest: str = "not ingested, or another timestamp"


def read_score(metadata: str | None) -> Mapping[str, Any] | None:
    """Read a score row's metadata; None for a score that is not ours."""
    if metadata is None:
        return None
    try:
        facts = json.loads(metadata)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and "model" in facts else None


def explain(evidence: Evidence) -> list[tuple[str, str]]:
    """Return label and sentence of each thing to know, in the order in which it happened."""
    is_known = evidence.exists or evidence.score is not None
    if not is_known and evidence.alerts.is_empty():
        return [("value", f"no such row: {evidence.nearest}")]
    # An alert of a whole batch stands at no row of a metric.
    lines = [("value", f"{evidence.value:.10g}" if evidence.value is not None else "none"), *_explain_score(evidence)] if is_known else []
    for alert in evidence.alerts.iter_rows(named=True):
        lines += _explain_alert(alert, evidence.deliveries)
    if evidence.alerts.is_empty():
        lines.append(("alert", "none"))
    return lines


def _explain_score(evidence: Evidence) -> list[tuple[str, str]]:
    score = evidence.score
    if score is None:
        return [("score", "not judged yet: the next score run does")]
    lines = [("model", str(score["model"])), *([("detector", evidence.detector)] if evidence.detector else [])]
    if score.get("reason"):
        why = f": {score['explanation']}" if score.get("explanation") else ""
        return [*lines, ("score", f"none: {WHY_NO_SCORE.get(score['reason'], score['reason'])}{why}")]
    if score.get("value") != evidence.value:
        lines.append(("judged value", f"{score.get('value')}"))
    low, high = score.get("expected_low"), score.get("expected_high")
    if low is not None and high is not None:
        lines.append(("expected", f"{low:.6g} to {high:.6g}"))
    a, threshold = _anomaly(score), score.get("threshold")
    lines.append(("surprise", f"{score.get('surprise') or 0.0:.2f} (about 1 in {10 ** (score.get('surprise') or 0.0):,.0f} points)"))
    if a is not None and threshold is not None:
        verdict = "at or above" if a >= threshold else "below"
        lines.append(("anomaly score", f"{a:.4f}, {verdict} the threshold {threshold:.4f}"))
    return [*lines, ("views", score.get("explanation") or "none stands out")]


def _anomaly(score: Mapping[str, Any]) -> float | None:
    a = score.get("A")
    return None if a is None else 1.0 - 5.0 ** (-a / 2.0)


def _explain_alert(alert: Mapping[str, Any], deliveries: pl.DataFrame) -> list[tuple[str, str]]:
    meaning = {
        "open": "told, or waiting to be",
        "snoozed": "another alert of the metric is near (alert_snooze_n), or its budget is spent",
        "late": "older than alert_max_age when it was detected; not sent",
        "resolved": "over",
    }
    lines = [(f"{alert['kind']} alert", f"{alert['status']} ({meaning.get(alert['status'], '')}); {alert['reason']}")]
    if alert["message_id"] is None:
        return [*lines, ("delivery", "no message yet" if alert["status"] == "open" else "no message")]
    for delivery in deliveries.filter(deliveries["message_id"] == alert["message_id"]).iter_rows(named=True):
        when = f" at {delivery['sent_at']:%Y-%m-%d %H:%M:%S} UTC" if delivery["sent_at"] else ""
        error = f"; {delivery['error']}" if delivery["error"] else ""
        kind = "resolution" if is_resolution(delivery["channel"]) else "delivery"
        lines.append(
            (f"{kind} by {find_channel(delivery['channel'])}", f"{delivery['state']}{when}, {delivery['attempts']} attempts{error}")
        )
    return lines
