"""What people say of alerts, and what follows from it: raised thresholds, and rows that are not learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anomflow import calibration
from anomflow.decisions.candidate import ANOMALY, THRESHOLD
from anomflow.ledger.states import AlertState, read_state
from anomflow.wording import render_count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from anomflow.sections.alerts import FeedbackSpec

Floats = NDArray[np.float64]

UP: Final = "up"
DOWN: Final = "down"
EXPECTED: Final = "expected"
NONE: Final = "none"
WORDS: Final[dict[str, str]] = {
    UP: "a real anomaly: its rows are not learned as normal",
    DOWN: "a false alarm: the metric's threshold rises",
    EXPECTED: "known or planned: its rows are not learned, it is resolved, the threshold stays",
    NONE: "takes the feedback back",
}

# The kinds whose alerts speak of the value of one row; those of the others say nothing about what is normal.
ROW_KINDS: Final = (ANOMALY, THRESHOLD)
# How far above a rejected anomaly (in A) the threshold may rise: the next one like it has a score a little other.
JUST_ABOVE: Final = 0.1
_HALF: Final = math.log10(2.0)


@dataclass(frozen=True)
class Adjustment:
    """How far rejected alerts raise a metric's threshold: by how much surprise, to which A at most, how many they are."""

    surprise: float
    highest: float
    rejected: int

    @property
    def note(self) -> str:
        """Say in words what the threshold went through."""
        return f"threshold raised by {render_count(self.rejected, 'rejected alert')}"


@dataclass(frozen=True, eq=False)
class Feedback:
    """What feedback changes: thresholds by metric, and the times (epoch seconds) of rows that are not learned, by metric."""

    adjustments: Mapping[str, Adjustment] = field(default_factory=dict)
    points: Mapping[str, Floats] = field(default_factory=dict)


NO_FEEDBACK: Final = Feedback()


def find_standing(opinions: pl.DataFrame) -> pl.DataFrame:
    """Return the alerts (``frames.ALERTS``) whose feedback counts: a corrected one was of a value that is no more."""
    corrected = [read_state(status, reason) is AlertState.CORRECTED for status, reason in opinions.select("status", "reason").iter_rows()]
    return opinions.filter(~pl.Series(corrected, dtype=pl.Boolean), pl.col("feedback").is_not_null())


def find_adjustments(opinions: pl.DataFrame, spec: FeedbackSpec, as_of: datetime) -> dict[str, Adjustment]:
    """Return by how much the thresholds of metrics rise, by what is said of their anomalies of the last ``feedback_days``.

    A confirmed alert makes up for a rejected one; what is left of the rejected ones makes false alarms half as frequent,
    each of them, down to one in ``feedback_max_factor``. Nothing lowers a threshold.
    """
    since = as_of - timedelta(days=spec.feedback_days)
    time = pl.col("metric_timestamp")
    recent = find_standing(opinions).filter(pl.col("kind") == ANOMALY, time > since, time <= as_of)
    is_down = pl.col("feedback") == DOWN
    counted = recent.group_by("metric_name").agg(
        rejected=is_down.sum().cast(pl.Int64) - (pl.col("feedback") == UP).sum().cast(pl.Int64),
        score=pl.col("anomaly_score").filter(is_down).max(),
    )
    found = counted.filter(pl.col("rejected") > 0, pl.col("score").is_not_null()).sort("metric_name")
    return {row["metric_name"]: _build_adjustment(row, spec.feedback_max_factor) for row in found.iter_rows(named=True)}


def _build_adjustment(row: Mapping[str, Any], max_factor: float) -> Adjustment:
    highest = float(calibration.anomaly_from_score(row["score"])) + JUST_ABOVE
    return Adjustment(min(row["rejected"] * _HALF, math.log10(max_factor)), highest, row["rejected"])


def raise_thresholds(thresholds: pl.Series, names: pl.Series, adjustments: Mapping[str, Adjustment]) -> pl.Series:
    """Return anomaly scores from which rows alert (null: none), by the names of their metrics, raised where they are to be."""
    if not adjustments:
        return thresholds
    by, highest = (_place(names, adjustments, part) for part in ("surprise", "highest"))
    given = thresholds.cast(pl.Float64).fill_null(math.nan).to_numpy()
    anomaly = calibration.anomaly_from_score(given)
    wanted = np.minimum(calibration.anomaly_from_surprise(calibration.surprise(anomaly) + by), highest)
    raised = np.fmax(given, calibration.anomaly_score(wanted))  # a metric without feedback has NaN there
    return pl.Series(thresholds.name, np.where(np.isnan(given), np.nan, raised)).fill_nan(None)


def find_notes(names: pl.Series, adjustments: Mapping[str, Adjustment]) -> pl.Series:
    """Return what is to be said of the thresholds of metrics, null where nothing is."""
    notes = {name: adjustment.note for name, adjustment in adjustments.items()}
    return names.replace_strict(notes, default=None, return_dtype=pl.String)


def _place(names: pl.Series, adjustments: Mapping[str, Adjustment], part: str) -> Floats:
    numbers = {name: getattr(adjustment, part) for name, adjustment in adjustments.items()}
    return names.replace_strict(numbers, default=math.nan, return_dtype=pl.Float64).to_numpy()


def find_alerts_not_learned(opinions: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Return the confirmed and expected alerts of one row's value, up to a time."""
    kinds, words = pl.col("kind").is_in(ROW_KINDS), pl.col("feedback").is_in([UP, EXPECTED])
    return find_standing(opinions).filter(kinds, words, pl.col("metric_timestamp") <= as_of).sort("metric_name", "metric_timestamp")


def find_points(alerts: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Return the rows (metric_name, metric_timestamp) that alerts keep from being learned: their own and anomalous ones after it.

    ``scores`` are score rows (metric_name, metric_timestamp, metadata) from the alerts on, as far as their snooze reaches. A
    row without a score of ours awaits its judgement, and is none of them.
    """
    key = ["metric_name", "metric_timestamp"]
    parsed = scores.unique(key, keep="last").select(*key, *_read_facts(pl.col("metadata"))).filter("judged")
    own = parsed.join(alerts.select(key), on=key, how="semi").select(key)
    reached = calibration.anomaly_score(parsed["A"].fill_null(math.nan).to_numpy()) >= parsed["threshold"].fill_null(math.nan).to_numpy()
    return pl.concat([own, parsed.filter(pl.Series(reached, dtype=pl.Boolean)).select(key)]).unique().sort(key)


def _read_facts(metadata: pl.Expr) -> Iterator[pl.Expr]:
    yield metadata.str.json_path_match("$.model").is_not_null().alias("judged")
    yield from (metadata.str.json_path_match(f"$.{name}").cast(pl.Float64, strict=False).alias(name) for name in ("A", "threshold"))
