"""Charts of a metric: its value with the expected range and alert marks, over its anomaly score with the threshold.

Dark on white also in dark surroundings, since not every mail client says which they are.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from anomflow.wording import clean_text

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

SVG_POINTS: Final = 300
PNG_POINTS: Final = 2000

_PALETTE_COLOURS = 64
_TITLE_LIMIT = 80
_VEGA_LITE = "6.4"  # what vl-convert is told, so that a newer default changes no picture


@dataclass(frozen=True)
class Chart:
    """What to draw of one metric: title, history (``frames.HISTORY``), the moment to point at (UTC)."""

    title: str
    history: pl.DataFrame = field(repr=False)
    highlight: datetime | None = None


def build_chart(title: str, history: pl.DataFrame, highlight: datetime | None = None) -> Chart:
    """Return the chart of a metric's history; any text serves as a title."""
    return Chart(clean_text(title, _TITLE_LIMIT), history, highlight)


def build_spec(chart: Chart, max_points: int, *, interactive: bool = False) -> dict[str, Any]:
    """Return the Vega-Lite specification of a chart; an interactive one has tooltips and zooms along its time axis."""
    from anomflow.chart_panels import build_panels  # noqa: PLC0415 - imports altair, which takes a second

    spec: dict[str, Any] = build_panels(chart, max_points, interactive=interactive).to_dict()
    return spec


def render_svg(chart: Chart) -> str:
    """Draw a chart as SVG of at most about 300 points; equal charts give equal text."""
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    svg: str = vl_convert.vegalite_to_svg(build_spec(chart, SVG_POINTS), vl_version=_VEGA_LITE, allowed_base_urls=[])
    return _number_clips(svg)


def _number_clips(svg: str) -> str:
    """Count the names of clip paths from 0: the engine goes on counting from one picture to the next."""
    names = dict.fromkeys(re.findall(r'<clipPath id="(clip\d+)"', svg))
    numbers = {name: f"clip{number}" for number, name in enumerate(names)}
    return re.sub(r'(?<=id=")clip\d+(?=")|(?<=url\(#)clip\d+(?=\))', lambda found: numbers.get(found[0], found[0]), svg)


def render_png(chart: Chart, scale: float = 1.5) -> bytes:
    """Draw a chart as a PNG of 64 colours (15-50 KB) of at most about 2,000 points; equal charts give equal bytes.

    At ``scale`` 1 the picture is about 720 pixels wide.
    """
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine
    from PIL import Image  # noqa: PLC0415 - only pictures need it

    png = vl_convert.vegalite_to_png(build_spec(chart, PNG_POINTS), vl_version=_VEGA_LITE, scale=scale, allowed_base_urls=[])
    picture = Image.open(io.BytesIO(png)).convert("RGB")  # the background is opaque, so nothing shines through
    target = io.BytesIO()
    picture.quantize(_PALETTE_COLOURS, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    return target.getvalue()
