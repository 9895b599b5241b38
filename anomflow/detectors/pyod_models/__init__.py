"""Models of PyOD by name: fitted again and again on the rows so far, each row judged by estimators that never saw it.

Estimators are fitted when a metric's rows reach certain counts since its origin (so that the cost is that of about one
fit of all rows, and a replay meets the same estimators however it is cut). Each estimator's raw score becomes a surprise:
its rank among the scores that it and its predecessors gave the same metric before, while they were new, with a fitted
tail. Surprises are combined, the combination is ranked in the same way, and A is what the curve of
``anomflow.calibration`` gives for that surprise.
"""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import version as library_version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from anomflow.detectors.multiview.layout import MEMORY, RECENT, RING
from anomflow.detectors.pyod_models.catalogue import require_model
from anomflow.detectors.pyod_models.layout import CALIBRATOR, HEAD, count_calibrators, next_fit
from anomflow.detectors.pyod_models.recipe import Recipe
from anomflow.detectors.states import Floats, Replay, State, checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PyodModels"]

LIBRARIES: Final = ("joblib", "numpy", "pyod", "scikit-learn", "scipy")
LAYOUT: Final[Mapping[str, np.dtype[Any]]] = {
    "head": HEAD,
    "calibrators": CALIBRATOR,
    "undamped": np.dtype("<f8"),
    "remembered": np.dtype("<f4"),
    "estimators": np.dtype("u1"),
}
SPEAKERS: Final = 3
LEAST_SURPRISE: Final = 1.0


class PyodModels:
    """Judge rows by models of PyOD; see ``anomflow.detectors.states.Detector``.

    ``options`` are those of a ``Recipe``. Raises ModelError for a model that there is not or that cannot judge metrics,
    MissingDependencyError for one whose package is not installed.
    """

    name = "pyod"
    layout = LAYOUT

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.recipe = Recipe.from_options(options)
        for model in self.recipe.models:
            require_model(model.model_name)

    @cached_property
    def version(self) -> str:
        """Identify the code and the libraries whose estimators are stored."""
        from anomflow.detectors.pyod_models.ranking import STAMP  # noqa: PLC0415 - numba takes a second to import

        return " ".join([f"{STAMP:014x}", *(f"{name}-{library_version(name)}" for name in LIBRARIES)])

    @property
    def views(self) -> tuple[str, ...]:
        """Name the models as settings do."""
        return self.recipe.labels

    def check(self, state: State) -> str | None:
        """Say what makes a state unusable, None for a sound one; estimators are looked at when rows are judged."""
        kept, recent = min(state.rows, RING), min(state.rows, RECENT)
        lengths = (len(state.seconds), len(state.values), len(state.anomalies), len(state.memory["undamped"]))
        if lengths != (kept, kept, recent, recent):
            return f"its arrays do not have the lengths that {state.rows} rows leave behind"
        calibrators, head = state.memory["calibrators"], state.memory["head"]
        if len(head) != 1 or len(calibrators) != count_calibrators(len(self.views)):
            return "its calibrators are not those of its models"
        counts = calibrators["remembered"]
        if counts.min() < 0 or counts.max() > min(state.rows, MEMORY) or counts.sum() != len(state.memory["remembered"]):
            return "its calibrators do not have the lengths that they tell"
        fitted = int(head["fitted"][0])
        if fitted < 0 or fitted > state.rows or next_fit(fitted, self.recipe.lookback) <= state.rows:
            return f"its newest fit is not that of {state.rows} rows"
        return None

    def advance(self, state: State | None, seconds: Floats, values: Floats) -> tuple[Replay, State]:
        """Judge the rows that follow a state, or the first rows of a metric."""
        from anomflow.detectors.pyod_models.walk import walk  # noqa: PLC0415 - imports PyOD

        if state is None:
            if len(seconds) == 0:
                raise ValueError("a metric without rows has no state; give at least one row")
            state = self._build_empty(float(seconds[0]))
        if len(seconds) and (seconds[0] <= state.checkpoint or not np.all(np.diff(seconds) > 0)):
            raise ValueError("rows must ascend in time and follow those of the state; sort them and drop those that it knows")
        return walk(self.recipe, state, seconds, values)

    def _build_empty(self, origin: float) -> State:
        none = np.empty(0)
        memory = {name: np.empty(0, dtype) for name, dtype in LAYOUT.items()}
        memory |= {"head": np.zeros(1, HEAD), "calibrators": np.zeros(count_calibrators(len(self.views)), CALIBRATOR)}
        return State(0, origin, -np.inf, checksum(none, none), none, none, none, memory)

    def explain(self, replay: Replay) -> pl.Series:
        """Name up to three models with the largest surprises of each row; null where none reaches 1."""
        surprises = np.nan_to_num(replay.surprises, nan=0.0)
        order = np.argsort(-surprises, axis=1, kind="stable")[:, :SPEAKERS]
        said = np.take_along_axis(surprises, order, axis=1)
        parts = [
            pl.Series(self.views, dtype=pl.String).gather(order[:, k]).set(pl.Series(said[:, k] < LEAST_SURPRISE), None)
            + " "
            + pl.Series(said[:, k]).round(1).cast(pl.String)
            for k in range(order.shape[1])
        ]
        listed = pl.concat_str(*parts, separator=", ", ignore_nulls=True)
        text = pl.concat_str(listed, pl.lit(" (unlike its past)"))
        return pl.select(pl.when(pl.lit(parts[0]).is_not_null()).then(text).alias("explanation")).to_series()
