"""Charts made smaller for channels that take few bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS: Final = ((0.5, 32), (0.5, 8), (0.35, 8))  # share of the width and height, colours


def shrink_png(png: bytes, limit: int) -> bytes | None:
    """Return a picture in at most ``limit`` bytes: as it is, else smaller and with fewer colours; None where none is small enough."""
    return next((drawn for drawn in _draw(png) if len(drawn) <= limit), None)


def _draw(png: bytes) -> Iterator[bytes]:
    yield png
    from PIL import Image  # noqa: PLC0415 - most charts are sent as they are

    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    for share, colours in _STEPS:
        size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        drawn = io.BytesIO()
        picture.resize(size, Image.Resampling.LANCZOS).quantize(colours).save(drawn, "PNG", optimize=True)
        yield drawn.getvalue()
