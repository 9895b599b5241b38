"""What the views say, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from anomflow.detectors.multiview.layout import AR, LEVEL12, RANGE, SEASON_RESID, SEASON_SHAPE, SHAPE6, SHIFT, VIEWS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomflow.detectors.states import Replay

SPEAKERS: Final = 3
LEAST_SURPRISE: Final = 1.0

WORDS: Final = (
    "outside the range of all earlier rows",
    "a level unlike any in its past",
    "its newest rows moved away from those before",
    "far above its forecast",
    "unlike this time in earlier seasons",
    "a course unlike this time in earlier seasons",
    "a course unlike any in its past",
    "far below its forecast",
)
BELOW: Final = len(VIEWS)
# Which of equally surprised views speaks first: what is most easily seen in a chart.
PREFERENCE: Final = (AR, RANGE, LEVEL12, SHIFT, SEASON_RESID, SEASON_SHAPE, SHAPE6)


def explain_surprises(replay: Replay) -> pl.Series:
    """Name up to three views with the largest surprises of each row, and what they mean; null where none reaches 1.

    An example: ``ar 5.1, range 4.0 (far below its forecast; outside the range of all earlier rows)``.
    """
    by_preference = np.array(PREFERENCE)
    order = by_preference[np.argsort(-replay.surprises[:, by_preference], axis=1, kind="stable")[:, :SPEAKERS]]
    surprises = np.take_along_axis(replay.surprises, order, axis=1)
    said = surprises >= LEAST_SURPRISE
    meaning = np.where((order == AR) & (replay.residual < 0)[:, None], BELOW, order)
    numbers = [_pick(VIEWS, order[:, k], said[:, k]) + " " + _one_decimal(surprises[:, k]) for k in range(SPEAKERS)]
    words = [_pick(WORDS, meaning[:, k], said[:, k]) for k in range(SPEAKERS)]
    explained = pl.concat_str(
        pl.concat_str(numbers, separator=", ", ignore_nulls=True),
        pl.lit(" ("),
        pl.concat_str(words, separator="; ", ignore_nulls=True),
        pl.lit(")"),
    )
    return pl.select(pl.when(pl.lit(pl.Series(said[:, 0]))).then(explained).alias("explanation")).to_series()


def _pick(texts: tuple[str, ...], which: NDArray[np.int64], said: NDArray[np.bool_]) -> pl.Series:
    picked = pl.Series(texts, dtype=pl.String).gather(which)
    return picked.set(pl.Series(~said), None)


def _one_decimal(numbers: NDArray[np.float64]) -> pl.Series:
    return pl.Series(numbers).round(1).cast(pl.String)
