from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import xml.dom.minidom
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from message_samples import HOSTILE, MOMENT, make_history
from PIL import Image

from anomflow.chart_data import arrange_history, find_time_range, find_value_range
from anomflow.charts import PNG_POINTS, SVG_POINTS, build_chart, build_spec, render_png, render_svg
from anomflow.frames import HISTORY

KINDS = ["anomaly", "threshold", "change", "freshness", "missing", "flatline", "llm", "info"]


def make_rows(values: list[float | None], **columns: list[Any]) -> pl.DataFrame:
    rows = len(values)
    times = [MOMENT + timedelta(hours=number) for number in range(rows)]
    empty: dict[str, Any] = {name: [None] * rows for name in HISTORY}
    return pl.DataFrame({**empty, "metric_timestamp": times, "metric_value": values, **columns}, schema=HISTORY)


ODD = {
    "constant": make_rows([5.0] * 30),
    "single": make_rows([3.0], alert=["anomaly"]),
    "empty": make_rows([]),
    "no values": make_rows([None] * 20, alert=["freshness"] + [None] * 19),
    "huge": make_rows([1.0, 1e308, -1e308] * 5, expected_low=[-1e308] * 15, expected_high=[1e308] * 15),
    "tiny": make_rows([5e-324, 1e-320] * 5),
    "not finite": make_rows([1.0, float("inf"), float("nan"), 2.0]),
    "large and close": make_rows([1e17 + 16 * number for number in range(20)]),
    "range far wider": make_rows([1.0, 2.0] * 5, expected_low=[-1e9] * 10, expected_high=[1e9] * 10),
    "unknown kind": make_rows([1.0, 2.0], alert=[HOSTILE, None]),
}


def find_colours(png: bytes) -> set[tuple[int, int, int]]:
    colours = Image.open(io.BytesIO(png)).convert("RGB").getcolors(1 << 24)
    assert colours is not None
    return {colour for _, colour in colours}  # type: ignore[misc]  # Pillow types grey pictures too


def find_layer(spec: dict[str, Any], panel: int, dataset: str) -> dict[str, Any]:
    return next(layer for layer in spec["vconcat"][panel]["layer"] if layer["data"]["name"] == dataset)


@pytest.mark.parametrize("rows", [12, 300, 2000, 10_000])
def test_pictures_are_small_and_not_blank(rows: int) -> None:
    chart = build_chart("orders", make_history(rows), MOMENT)
    png = render_png(chart)
    assert 1_000 < len(png) <= 50_000
    assert len(render_svg(chart)) <= 37_000
    assert {(255, 255, 255), (0x1F, 0x3A, 0x5F), (0xD5, 0x5E, 0x00)} <= find_colours(png)


@pytest.mark.parametrize("case", ODD)
def test_odd_histories_give_a_picture_and_valid_xml(case: str) -> None:
    chart = build_chart(HOSTILE, ODD[case], MOMENT)
    picture = Image.open(io.BytesIO(render_png(chart)))
    assert picture.width > 900
    assert picture.height > 500
    assert len(find_colours(render_png(chart, scale=1))) > 5
    assert xml.dom.minidom.parseString(render_svg(chart)).getElementsByTagName("svg")  # noqa: S318 - our own picture


def test_equal_charts_give_equal_bytes() -> None:
    first, second = (build_chart("orders", make_history(), MOMENT) for _ in range(2))
    assert render_svg(first) == render_svg(second)
    assert render_png(first) == render_png(second)


def test_a_chart_shows_value_range_score_threshold_and_moment() -> None:
    spec = build_spec(build_chart("orders", make_history(), MOMENT), SVG_POINTS)
    data = spec["datasets"]
    moment = int(MOMENT.timestamp() * 1000)
    assert {"time": moment, "value": 3.2} in data["line metric_value"]
    assert {"time": moment, "value": 0.97} in data["line anomaly_score"]
    assert len(data["band"]) == 120
    assert [row["value"] for row in data["threshold"]] == [0.84, 0.84]
    assert data["pointer"] == [{"time": moment}]
    assert find_layer(spec, 0, "line metric_value")["encoding"]["x"]["scale"]["type"] == "utc"


def test_alerts_of_each_kind_differ_in_colour_and_in_shape() -> None:
    history = make_history(alert=KINDS + [None] * 112)
    spec = build_spec(build_chart("orders", history), SVG_POINTS)
    encoding = find_layer(spec, 0, "alerts metric_value")["encoding"]
    assert [row["kind"] for row in spec["datasets"]["alerts metric_value"]] == KINDS
    for channel in ("color", "shape"):
        assert sorted(encoding[channel]["scale"]["domain"]) == sorted(KINDS)
        assert len(set(encoding[channel]["scale"]["range"])) == len(KINDS)
    assert [row["kind"] for row in spec["datasets"]["alerts anomaly_score"]] == ["anomaly"]


def test_an_alert_without_a_value_is_marked_at_the_bottom() -> None:
    spec = build_spec(build_chart("orders", ODD["no values"]), SVG_POINTS)
    bottom = find_layer(spec, 0, "line metric_value")["encoding"]["y"]["scale"]["domain"][0]
    assert [row["value"] for row in spec["datasets"]["alerts metric_value"]] == [bottom]


def test_nulls_and_gaps_break_the_line() -> None:
    history = make_rows([1.0, 2.0, None, 3.0, *[4.0] * 16])
    holed = history.filter(~pl.col("metric_timestamp").is_between(MOMENT + timedelta(hours=8), MOMENT + timedelta(hours=14)))
    values = arrange_history(holed, SVG_POINTS)["metric_value"].to_list()
    assert values == [1.0, 2.0, None, 3.0, *[4.0] * 4, None, *[4.0] * 5]


def test_a_weekend_does_not_break_a_daily_line() -> None:
    days = pl.datetime_range(MOMENT, MOMENT + timedelta(days=60), "1d", eager=True)
    workdays = make_rows([1.0] * 61).with_columns(metric_timestamp=days).filter(pl.col("metric_timestamp").dt.weekday() < 6)
    assert arrange_history(workdays, SVG_POINTS).height == workdays.height


@pytest.mark.parametrize("limit", [SVG_POINTS, PNG_POINTS])
def test_thinning_keeps_extremes_alerts_and_breaks(limit: int) -> None:
    values: list[float | None] = [float(number % 7) for number in range(20_000)]
    values[5_001], values[9_999], values[15_000] = 99.0, -99.0, None
    alerts = ["threshold" if number == 12_345 else None for number in range(20_000)]
    thinned = arrange_history(make_rows(values, alert=alerts), limit)
    assert thinned.height <= limit
    assert thinned["metric_timestamp"].is_sorted()
    assert {99.0, -99.0} <= set(thinned["metric_value"])
    assert thinned["alert"].drop_nulls().to_list() == ["threshold"]
    assert thinned["metric_value"].null_count() == 1
    assert thinned["metric_timestamp"][-1] == MOMENT + timedelta(hours=19_999)


def test_thinning_bounds_alerts_too() -> None:
    thinned = arrange_history(make_rows([1.0] * 20_000, alert=["info"] * 20_000), SVG_POINTS)
    assert thinned.height <= SVG_POINTS


def test_rows_arrive_in_any_order() -> None:
    shuffled = make_history().sample(fraction=1, shuffle=True, seed=1)
    assert arrange_history(shuffled, SVG_POINTS).equals(arrange_history(make_history(), SVG_POINTS))


def test_a_wide_expected_range_does_not_flatten_the_values() -> None:
    low, high = find_value_range(ODD["range far wider"])
    assert [low, high] == pytest.approx([-0.7, 3.7])


def test_a_moment_far_away_does_not_squeeze_the_time_axis() -> None:
    history = make_history()
    assert find_time_range(history, MOMENT + timedelta(days=3000)) == find_time_range(history, None)
    ends = find_time_range(history, MOMENT + timedelta(hours=12))
    assert ends is not None
    assert ends[1] > MOMENT + timedelta(hours=12)


def test_labels_of_the_time_axis_keep_a_distance() -> None:
    """A month that begins on a Sunday is named in full between the days of weeks."""
    rows = 368
    times = [datetime(2026, 8, 22, 6, tzinfo=UTC) + timedelta(hours=6 * number) for number in range(rows)]
    history = make_rows([float(number % 7) for number in range(rows)]).with_columns(
        pl.Series("metric_timestamp", times).cast(HISTORY["metric_timestamp"])
    )

    labels = re.findall(r'opacity="([01])">([^<]*)</text>', render_svg(build_chart("orders", history)))

    assert ("0", "Nov 2026") in labels
    assert {("1", "25 Oct"), ("1", "08 Nov")} <= set(labels)


def test_an_interactive_chart_tells_and_zooms() -> None:
    spec = build_spec(build_chart("orders", make_history(), MOMENT), SVG_POINTS, interactive=True)
    assert [(param["name"], param["bind"]) for param in spec["params"]] == [("zoom", "scales")]
    titles = [tip["title"] for tip in find_layer(spec, 0, "tooltips metric_value")["encoding"]["tooltip"]]
    assert titles == ["time (UTC)", "value", "expected from", "expected to", "anomaly score", "threshold", "alert"]


def test_a_specification_asks_for_no_network() -> None:
    spec = build_spec(build_chart("orders", make_history(), MOMENT), SVG_POINTS)
    assert "url" not in json.dumps({key: value for key, value in spec.items() if key != "$schema"})


def test_importing_charts_and_messages_imports_no_chart_library() -> None:
    code = (
        "import sys, anomflow.charts, anomflow.messages, anomflow.report; print(sorted({'altair', 'vl_convert', 'PIL'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
