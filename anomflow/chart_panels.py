"""The panels of a chart in Altair. ``anomflow.charts`` imports this module when it draws, since Altair imports slowly.

Colours are those of Okabe and Ito (2008) or near them, told apart by people with any colour vision; alert kinds differ
by shape too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import polars as pl

from anomflow.chart_data import arrange_history, find_lone_points, find_time_range, find_value_range
from anomflow.wording import clean_text, render_time

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.charts import Chart

_SALTIRE: Final = "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z"  # a cross, turned by 45 degrees
MARKS: Final[dict[str, tuple[str, str]]] = {
    "anomaly": ("#D55E00", "circle"),
    "threshold": ("#A0348A", "triangle-up"),
    "change": ("#0072B2", "diamond"),
    "freshness": ("#E69F00", "square"),
    "missing": ("#8C4A00", _SALTIRE),
    "flatline": ("#7A5C00", "cross"),
    "llm": ("#009E73", "triangle-down"),
    "info": ("#6B7280", "triangle-right"),
}
OTHER_MARK: Final = ("#000000", "triangle-left")

INKS: Final = {"line": "#1F3A5F", "band": "#56B4E9", "limit": "#B03A00", "text": "#39424E", "grid": "#E6E9ED", "rule": "#AAB2BD"}

_WIDTH, _VALUE_HEIGHT, _SCORE_HEIGHT = 620, 200, 80
_DOTS_UP_TO = 60  # with so few points each is drawn as a dot
_AXIS_EXTENT = 44
_LABEL_GAP = 6  # pixels between the labels of the time axis
_BREAK: Final = "break-paths-show-path-domains"
_TIME_FORMAT = {
    "year": "%Y", "quarter": "%b %Y", "month": "%b %Y", "week": "%d %b", "date": "%d %b", "day": "%d %b",
    "hours": "%H:%M", "minutes": "%H:%M", "seconds": "%H:%M:%S", "milliseconds": "%H:%M:%S.%L",
}  # fmt: skip
_NUMBER_LABEL = (
    "datum.value != 0 && (abs(datum.value) >= 1e15 || abs(datum.value) < 1e-4) ? format(datum.value, '.5~e')"
    " : abs(datum.value) >= 1e4 ? format(datum.value, '.6~s') : format(datum.value, ',.6~r')"
)
_SMALL = {"labelFontSize": 11, "labelColor": INKS["text"]}
_AXIS = {"titleFontSize": 11, "titleFontWeight": "normal", "titleColor": INKS["text"], "gridColor": INKS["grid"]}
_TITLE = {"anchor": "start", "offset": 8, "fontSize": 15, "color": INKS["text"], "subtitleFontSize": 11, "subtitleColor": INKS["text"]}
_STYLE: Final = {
    "aria": False,
    "font": "Arial, Helvetica, Liberation Sans, sans-serif",
    "axis": {**_SMALL, **_AXIS, "domainColor": INKS["rule"], "tickColor": INKS["rule"]},
    "legend": _SMALL,
    "title": _TITLE,
    "view": {"stroke": None},
}
_TOOLTIPS: Final = {
    "metric": ("metric_value", "value", ",.6~g"),
    "low": ("expected_low", "expected from", ",.6~g"),
    "high": ("expected_high", "expected to", ",.6~g"),
    "score": ("anomaly_score", "anomaly score", ".4f"),
    "limit": ("threshold", "threshold", ".4f"),
    "kind": ("alert", "alert", ""),
}


@dataclass(frozen=True)
class _Drawing:
    """The rows of a chart and what its panels share: the time axis, the moment to point at, whether one can explore."""

    rows: pl.DataFrame
    time: alt.X
    highlight: datetime | None
    interactive: bool
    datasets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add_data(self, name: str, rows: pl.DataFrame, **columns: str) -> alt.NamedData:
        """Hand rows to the chart under short names, times as milliseconds since 1970.

        They stand beside the panels, since Altair copies and checks inline data at each step.
        """
        time = pl.col("metric_timestamp").dt.epoch("ms").alias("time")
        self.datasets[name] = rows.select(time, **{key: pl.col(column) for key, column in columns.items()}).to_dicts()
        return alt.NamedData(name)


@dataclass(frozen=True)
class _Panel:
    """One of the two pictures: its column, axis and height, the kinds of alerts it marks (none given means all)."""

    column: str
    value: alt.Y
    height: int
    kinds: tuple[str, ...] = ()
    missing: float | None = None  # where an alert without a value stands


def build_panels(chart: Chart, max_points: int, *, interactive: bool) -> dict[str, Any]:
    """Return the Vega-Lite specification of a chart's value panel over its score panel, with one time axis."""
    rows = arrange_history(chart.history, max_points)
    time, highlight = _build_time_axis(rows, chart.highlight, interactive=interactive)
    drawing = _Drawing(rows, time, highlight, interactive)
    subtitle = _describe(rows)
    panels = alt.vconcat(
        _build_value_panel(drawing),
        _build_score_panel(drawing),
        title=alt.TitleParams(chart.title, subtitle=subtitle, limit=_WIDTH),
        description=f"{chart.title}: {subtitle}",
        background="white",
        padding=10,
        spacing=14,
        resolve=alt.Resolve(scale=alt.ScaleResolveMap(x="shared", color="shared", shape="shared")),
    )
    # Altair checks what it is given as it is built; checking the whole against the schema again takes longer than that.
    return {**panels.to_dict(validate=False), "datasets": drawing.datasets, "config": _STYLE}


def _describe(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return "no rows"
    first: Any = rows["metric_timestamp"].min()
    last: Any = rows["metric_timestamp"].max()
    period = f"{render_time(first)} to {render_time(last)}"
    if rows["metric_value"].null_count() == rows.height:
        return f"no values, {period}"
    has_band = rows.select((pl.col("expected_low").is_not_null() & pl.col("expected_high").is_not_null()).any()).item()
    return f"{period}, shaded: expected range" if has_band else period


def _build_time_axis(rows: pl.DataFrame, highlight: datetime | None, *, interactive: bool) -> tuple[alt.X, datetime | None]:
    """Return the axis, and the moment to point at where it lies on it."""
    ends = find_time_range(rows, highlight)
    domain = alt.Undefined if ends is None or interactive else [_milliseconds(end) for end in ends]
    axis = alt.Axis(format=_TIME_FORMAT, labelOverlap="greedy", labelSeparation=_LABEL_GAP, labelFlush=False, tickCount=8)
    time = alt.X("time:T", title=None, axis=axis, scale=alt.Scale(type="utc", domain=domain, nice=False))
    is_on_axis = ends is not None and highlight is not None and ends[0] <= highlight <= ends[1]
    return time, highlight if is_on_axis else None


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _build_value_panel(drawing: _Drawing) -> alt.LayerChart:
    low, high = find_value_range(drawing.rows)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    axis = alt.Axis(labelExpr=_NUMBER_LABEL, tickCount=6, minExtent=_AXIS_EXTENT)
    panel = _Panel("metric_value", alt.Y("value:Q", title="value", scale=scale, axis=axis), _VALUE_HEIGHT, missing=low)
    # Cut here what lies beyond the axes: a mask over the picture takes as long to draw as all the rest.
    shown = drawing.rows.with_columns(pl.col("expected_low", "expected_high").clip(low, high))
    base = alt.Chart(drawing.add_data("band", shown, low="expected_low", high="expected_high")).encode(x=drawing.time)
    band = base.mark_area(opacity=0.3, color=INKS["band"], clip=drawing.interactive, invalid=_BREAK).encode(
        y=alt.Y("low:Q", scale=scale), y2="high:Q"
    )
    return _build_panel(drawing, panel, band)


def _build_score_panel(drawing: _Drawing) -> alt.LayerChart:
    axis = alt.Axis(values=[0, 0.5, 1], minExtent=_AXIS_EXTENT)
    value = alt.Y("value:Q", title="anomaly score", scale=alt.Scale(domain=[0, 1], nice=False), axis=axis)
    panel = _Panel("anomaly_score", value, _SCORE_HEIGHT, kinds=("anomaly",))
    limits = alt.Chart(drawing.add_data("threshold", _find_steps(drawing.rows), value="threshold"))
    limit = limits.mark_line(color=INKS["limit"], strokeDash=[5, 3], strokeWidth=1.2, interpolate="step-after", clip=drawing.interactive)
    return _build_panel(drawing, panel, limit.encode(x=drawing.time, y=value))


def _find_steps(rows: pl.DataFrame) -> pl.DataFrame:
    """Keep the rows where the threshold changes, and the last one: all that a stepped line needs."""
    known = rows.filter(pl.col("threshold").is_not_null())
    is_new = pl.col("threshold").ne_missing(pl.col("threshold").shift(1))
    return known.filter(is_new | (pl.int_range(pl.len()) == pl.len() - 1))


def _build_line(drawing: _Drawing, panel: _Panel) -> alt.Chart:
    data = drawing.add_data(f"line {panel.column}", drawing.rows, value=panel.column)
    line = alt.Chart(data).mark_line(color=INKS["line"], strokeWidth=1.5, clip=drawing.interactive, invalid=_BREAK)
    drawn: alt.Chart = line.encode(x=drawing.time, y=panel.value)
    return drawn


def _build_panel(drawing: _Drawing, panel: _Panel, background: alt.Chart) -> alt.LayerChart:
    """Stack what every panel has: the moment to point at, the line, dots, alerts, and what a pointer finds."""
    line = _build_line(drawing, panel)
    layers = [_build_pointer(drawing), background, line, _build_dots(drawing, panel), _build_marks(drawing, panel)]
    if drawing.interactive:
        layers.append(_build_tooltips(drawing, panel))
    drawn = [layer for layer in layers if layer is line or drawing.datasets[layer.data.name]]
    return alt.LayerChart(layer=drawn, width=_WIDTH, height=panel.height)


def _build_pointer(drawing: _Drawing) -> alt.Chart:
    drawing.datasets["pointer"] = [] if drawing.highlight is None else [{"time": _milliseconds(drawing.highlight)}]
    pointer = alt.Chart(alt.NamedData("pointer")).mark_rule(color=INKS["rule"], strokeWidth=5, opacity=0.45)
    drawn: alt.Chart = pointer.encode(x=drawing.time)
    return drawn


def _build_dots(drawing: _Drawing, panel: _Panel) -> alt.Chart:
    """Draw the points that no line reaches, or all where they are few."""
    rows = drawing.rows
    shown = rows[panel.column].is_not_null() if rows.height <= _DOTS_UP_TO else find_lone_points(rows, panel.column)
    data = drawing.add_data(f"dots {panel.column}", rows.filter(shown), value=panel.column)
    dots = alt.Chart(data).mark_circle(color=INKS["line"], size=14, opacity=1, clip=drawing.interactive)
    drawn: alt.Chart = dots.encode(x=drawing.time, y=panel.value)
    return drawn


def _build_marks(drawing: _Drawing, panel: _Panel) -> alt.Chart:
    """Draw the alerts by kind; the scales know the kinds of both panels."""
    named = pl.col("alert").map_elements(clean_text, return_dtype=pl.String)
    place = pl.col(panel.column).fill_null(pl.lit(panel.missing, pl.Float64))
    alerts = drawing.rows.filter(pl.col("alert").is_not_null()).with_columns(named, place)
    found = set(alerts["alert"])
    kinds = [kind for kind in MARKS if kind in found] + sorted(found - set(MARKS))
    looks = [MARKS.get(kind, OTHER_MARK) for kind in kinds]
    legend = alt.Legend(title=None, orient="top", symbolSize=80) if kinds else None
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[look[0] for look in looks]), legend=legend)
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[look[1] for look in looks]), legend=legend)
    shown = alerts.filter(pl.col(panel.column).is_not_null() & pl.col("alert").is_in(panel.kinds or kinds))
    data = drawing.add_data(f"alerts {panel.column}", shown, value=panel.column, kind="alert")
    marks = alt.Chart(data).mark_point(filled=True, size=90, opacity=1)
    drawn: alt.Chart = marks.encode(x=drawing.time, y=panel.value, color=colour, shape=shape)
    return drawn


def _build_tooltips(drawing: _Drawing, panel: _Panel) -> alt.Chart:
    """Lay invisible points over a panel that tell about themselves; in the upper one, time can be moved and zoomed for both."""
    rows = drawing.rows.filter(pl.col(panel.column).is_not_null())
    told = rows.with_columns(pl.col("alert").fill_null("none"), drawn=pl.col(panel.column))
    data = drawing.add_data(f"tooltips {panel.column}", told, value="drawn", **{key: column for key, (column, _, _) in _TOOLTIPS.items()})
    time = alt.Tooltip("time:T", title="time (UTC)", timeUnit="utcyearmonthdatehoursminutesseconds", format="%Y-%m-%d %H:%M:%S")
    numbers = [alt.Tooltip(f"{key}:Q", title=title, format=form) for key, (_, title, form) in _TOOLTIPS.items() if form]
    points: alt.Chart = alt.Chart(data).mark_point(filled=True, size=120, opacity=0)
    points = points.encode(x=drawing.time, y=panel.value, tooltip=[time, *numbers, alt.Tooltip("kind:N", title="alert")])
    if panel.column != "metric_value":
        return points
    zoomed: alt.Chart = points.add_params(alt.selection_interval(name="zoom", bind="scales", encodings=["x"]))
    return zoomed
