"""Charts of a metric: its value with the expected range and alert marks, over its anomaly score with the threshold.

Dark on white also in dark surroundings, since not every mail client says which they are.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from anomflow.wording import clean_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import polars as pl
    from numpy.typing import NDArray

SVG_POINTS: Final = 300
PNG_POINTS: Final = 2000

_SHADES = 4  # of each ink
_WHITE = 255
_SHIFT = 3  # bits of a colour that may differ without another choice from the palette
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

    return build_panels(chart, max_points, interactive=interactive)


def render_svg(chart: Chart) -> str:
    """Draw a chart as SVG of at most about 300 points (up to 35 KB); equal charts give equal text."""
    return draw_svg(build_spec(chart, SVG_POINTS))


def draw_svg(spec: Mapping[str, Any]) -> str:
    """Draw a Vega-Lite specification as SVG without loading anything; equal ones give equal text."""
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    svg: str = vl_convert.vegalite_to_svg(dict(spec), vl_version=_VEGA_LITE, allowed_base_urls=[])
    return _shorten_paths(_number_clips(svg))


def _number_clips(svg: str) -> str:
    """Count the names of clip paths from 0: the engine goes on counting from one picture to the next."""
    names = dict.fromkeys(re.findall(r'<clipPath id="(clip\d+)"', svg))
    numbers = {name: f"clip{number}" for number, name in enumerate(names)}
    return re.sub(r'(?<=id=")clip\d+(?=")|(?<=url\(#)clip\d+(?=\))', lambda found: numbers.get(found[0], found[0]), svg)


def _shorten_paths(svg: str) -> str:
    """Round the coordinates of paths to a tenth of a pixel."""
    return re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]), svg)


def render_png(chart: Chart, scale: float = 1.5) -> bytes:
    """Draw a chart as a PNG of few colours (15-50 KB) of at most about 2,000 points; equal charts give equal bytes.

    At ``scale`` 1 the picture is about 700 pixels wide.
    """
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine
    from PIL import Image  # noqa: PLC0415 - only pictures need it

    png = vl_convert.vegalite_to_png(build_spec(chart, PNG_POINTS), vl_version=_VEGA_LITE, scale=scale, allowed_base_urls=[])
    picture = Image.open(io.BytesIO(png)).convert("RGB")  # the background is opaque, so nothing shines through
    palette = _build_palette()
    reduced = Image.fromarray(_find_nearest(np.asarray(picture), palette))
    reduced.putpalette(palette.astype(np.uint8).tobytes())
    target = io.BytesIO()
    reduced.save(target, "PNG", compress_level=6)
    return target.getvalue()


def _build_palette() -> NDArray[np.int64]:
    """Return red, green and blue of white, of all inks of a chart, and of steps between, which smooth edges need.

    A palette chosen from the picture would take rare colours, which are those of the alerts, for their neighbours.
    """
    from anomflow.chart_panels import INKS, MARKS, OTHER_MARK  # noqa: PLC0415 - imports altair, which takes a second

    inks = [*INKS.values(), *(look[0] for look in (*MARKS.values(), OTHER_MARK))]
    colours = np.array([[int(ink[at : at + 2], 16) for at in (1, 3, 5)] for ink in inks])
    shades = [_WHITE + (colours - _WHITE) * step // _SHADES for step in range(1, _SHADES + 1)]
    return np.vstack([np.full((1, 3), _WHITE), *shades])


def _find_nearest(picture: NDArray[np.uint8], palette: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the index of the palette's colour nearest to each pixel; Pillow's own search is coarse and greys white."""
    steps = picture >> _SHIFT
    nearest: NDArray[np.uint8] = _build_lookup(palette.tobytes())[steps[..., 0], steps[..., 1], steps[..., 2]]
    return nearest


@cache
def _build_lookup(palette: bytes) -> NDArray[np.uint8]:
    """Return the index of the nearest colour for each step of red, green and blue: looking up beats searching each picture."""
    colours = np.frombuffer(palette, np.int64).reshape(-1, 3)
    middles = (np.arange(256 >> _SHIFT) << _SHIFT) + (1 << _SHIFT >> 1)
    far = [(middles[:, None] - colours[:, channel]) ** 2 for channel in range(3)]
    distances = far[0][:, None, None] + far[1][None, :, None] + far[2][None, None, :]
    nearest: NDArray[np.uint8] = distances.argmin(axis=3).astype(np.uint8)
    return nearest
