"""Draw the pictures of docs/detection.md from what the default detector says about made-up series.

``python benchmarks/pictures.py`` writes them, ``--check`` exits with 1 where those in the repository are not what it would write.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import numpy as np
import polars as pl

from anomflow.backtest import replay_series
from anomflow.calibration import anomaly_score, surprise, threshold
from anomflow.charts import draw_svg
from anomflow.detectors import build_detector
from anomflow.detectors.multiview.layout import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FOLDER: Final = Path(__file__).parent.parent / "docs" / "images"
START: Final = 1_772_409_600  # 2026-03-02, a Monday
FIVE_MINUTES: Final = 300
DAY_ROWS: Final = 288
DAYS: Final = 24
INK, BAND, WARM, GREEN, GREY = "#1F3A5F", "#56B4E9", "#D55E00", "#009E73", "#6B7280"
WIDTH: Final = 620
STYLE: Final = {
    "aria": False,
    "font": "Arial, Helvetica, Liberation Sans, sans-serif",
    "view": {"stroke": None},
    "axis": {"gridColor": "#E6E9ED"},
}


@dataclass(frozen=True)
class Incident:
    """A stretch of rows to change, by day and row of the day, and what is added to it (units of the metric)."""

    first: int
    rows: int
    added: float


INCIDENTS: Final = (
    Incident(20 * DAY_ROWS + 100, 1, 14.0),
    Incident(21 * DAY_ROWS + 130, 60, 7.0),
    Incident(22 * DAY_ROWS + 40, 90, 9.0),
)


def make_traffic() -> tuple[NDArray[np.int64], Floats]:
    """Return seconds and values of 24 days at five minutes: a daily course, noise, a spike, two incidents of hours."""
    rng = np.random.default_rng(7)
    rows = np.arange(DAYS * DAY_ROWS)
    seconds = START + FIVE_MINUTES * rows
    values = 50 - 18 * np.cos(2 * np.pi * rows / DAY_ROWS) + rng.normal(0, 1.2, len(rows))
    for incident in INCIDENTS:
        values[incident.first : incident.first + incident.rows] += incident.added
    return seconds, values.round(4)


def _times(seconds: NDArray[np.int64]) -> pl.Expr:
    return pl.lit(pl.Series(seconds * 1000, dtype=pl.Int64))


def _round(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows with numbers of few digits, so that the last bits of a machine change no picture."""
    return frame.with_columns(pl.col(pl.Float64).round(3))


def draw_two_scores() -> Any:
    """Draw four days of traffic: values in their expected range, onset score with threshold, state score."""
    seconds, values = make_traffic()
    shown = slice(19 * DAY_ROWS + DAY_ROWS // 2, 23 * DAY_ROWS)
    judged = replay_series(seconds, values)[shown]
    limit = float(anomaly_score(threshold(FIVE_MINUTES, 2.0)))
    frame = judged.select(
        _times(seconds[shown]).alias("time"), "value", "expected_low", "expected_high", "anomaly_score", "state", "alert"
    ).with_columns(limit=limit)
    data = _round(frame)
    time = alt.X("time:T", title=None, axis=alt.Axis(format="%a %H:%M", tickCount=8), scale=alt.Scale(type="utc"))
    base = alt.Chart(data).encode(time)
    band = base.mark_area(color=BAND, opacity=0.35).encode(
        alt.Y("expected_low:Q", title="value", scale=alt.Scale(zero=False)), alt.Y2("expected_high:Q")
    )
    line = base.mark_line(color=INK, strokeWidth=1).encode(alt.Y("value:Q"))
    dots = base.mark_circle(color=WARM, size=55, opacity=1).transform_filter("datum.alert").encode(alt.Y("value:Q"))
    onset = base.mark_line(color=WARM, strokeWidth=1).encode(
        alt.Y("anomaly_score:Q", title="anomaly score", scale=alt.Scale(domain=[0, 1]))
    )
    rule = base.mark_line(color=GREY, strokeDash=[4, 3]).encode(alt.Y("limit:Q"))
    state = base.mark_area(color=GREEN, opacity=0.5, line={"color": GREEN, "strokeWidth": 1}).encode(alt.Y("state:Q", title="S"))
    return alt.vconcat(
        (band + line + dots).properties(width=WIDTH, height=190),
        (onset + rule).properties(width=WIDTH, height=80),
        state.properties(width=WIDTH, height=80),
        spacing=10,
    )


def draw_views() -> Any:
    """Draw how surprised each view is in the hours around an incident."""
    seconds, values = make_traffic()
    replay, _ = build_detector().advance(None, seconds.astype(np.float64), values)
    first = INCIDENTS[1].first - 24
    shown = slice(first, INCIDENTS[1].first + 90)
    frame = pl.concat(
        pl.DataFrame({"time": seconds[shown] * 1000, "view": name, "surprise": replay.surprises[shown, number]})
        for number, name in enumerate(VIEWS)
    )
    time = alt.X("time:T", title=None, axis=alt.Axis(format="%H:%M"), scale=alt.Scale(type="utc"))
    return (
        alt.Chart(_round(frame.with_columns(until=pl.col("time") + FIVE_MINUTES * 1000)))
        .mark_rect()
        .encode(
            time,
            alt.X2("until:T"),
            alt.Y("view:N", title=None, sort=list(VIEWS)),
            alt.Color("surprise:Q", title="surprise", scale=alt.Scale(range=["#FFFFFF", WARM, "#5E2A00"], domain=[0, 3.5, 7], clamp=True)),
        )
        .properties(width=WIDTH - 40, height=170)
    )


def draw_curve() -> Any:
    """Draw how rare an anomaly score is, and the thresholds for two tolerated false alarms at three steps."""
    a = np.linspace(1.0, 5.0, 81)
    curve = pl.DataFrame({"score": anomaly_score(a), "rarity": surprise(a)})
    steps = {"1 day": 86_400.0, "1 hour": 3_600.0, "5 minutes": 300.0}
    limits = threshold(np.array(list(steps.values())), 2.0)
    marks = pl.DataFrame({"score": anomaly_score(limits), "rarity": surprise(limits), "step": list(steps)})
    axes = (
        alt.X("score:Q", title="anomaly score", scale=alt.Scale(domain=[0.5, 1.0])),
        alt.Y("rarity:Q", title="one normal row in 10^y"),
    )
    line = alt.Chart(_round(curve)).mark_line(color=INK).encode(*axes)
    base = alt.Chart(_round(marks)).encode(*axes)
    dots = base.mark_circle(color=WARM, size=70, opacity=1)
    words = base.mark_text(align="right", dx=-9, dy=-6, color=INK).encode(alt.Text("step:N"))
    return (line + dots + words).properties(width=380, height=220)


PICTURES: Final[dict[str, Callable[[], Any]]] = {
    "detection-two-scores.svg": draw_two_scores,
    "detection-views.svg": draw_views,
    "detection-curve.svg": draw_curve,
}


def render(draw: Callable[[], Any]) -> str:
    """Return a picture as SVG text, dark on white, ending in a line feed."""
    return draw_svg({**draw().to_dict(), "config": STYLE, "background": "white"}) + "\n"


def find_stale(folder: Path) -> list[str]:
    """Return the names of pictures in a folder that are missing or are not what would be drawn now."""
    drawn = {name: render(draw) for name, draw in PICTURES.items()}
    return [name for name, svg in drawn.items() if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != svg]


def main(arguments: list[str]) -> int:
    """Write the pictures, or check them; return the exit code."""
    if arguments == ["--check"]:
        stale = find_stale(FOLDER)
        print(
            "\n".join(f"docs/images/{name} is not what the code draws; run: python benchmarks/pictures.py" for name in stale)
            or "up to date"
        )
        return 1 if stale else 0
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(render(draw), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
