"""Run a user's ``preprocess`` function: features of a metric's rows by the team's own definition, looking back only.

It runs in the process that trains and scores. Its source travels with the model, so that training and scoring use the same.
"""

from __future__ import annotations

import ast
import linecache
import traceback
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anomflow.conform import as_polars, conform_times
from anomflow.errors import AnomflowError, PreprocessError
from anomflow.features import LIMIT
from anomflow.series import to_timestamps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Floats = NDArray[np.float64]

FUNCTION: Final = "preprocess"
TIME: Final = "metric_timestamp"
VALUE: Final = "metric_value"
# Columns that a table may carry along, and that are no features.
_CARRIED: Final = (TIME, "metric_name", "metric_batch", "metric_type", "metadata")
_CLOSE: Final = 1e-9


@dataclass(frozen=True)
class PreprocessHook:
    """A preprocess function: its source, the file and line where that begins; the file is relative to the metrics folder."""

    source: str
    filename: str
    line: int = 1

    @property
    def place(self) -> str:
        """Return file and line."""
        return f"{self.filename}:{self.line}"


def build_hook_features(hook: PreprocessHook, rows: tuple[Floats, Floats], params: Mapping[str, Any]) -> Floats:
    """Return the features that the hook makes of seconds and values; NaN in rows that it left out.

    Raises PreprocessError where it raises or returns something else than features by ``metric_timestamp``.
    """
    seconds, values = rows
    table = pl.DataFrame({TIME: to_timestamps(seconds), VALUE: values})
    features = _to_features(hook, _call(hook, table, params))
    joined = table.select(TIME).with_row_index("row").join(features, on=TIME, how="inner").sort("row")
    made = np.full((len(seconds), features.width - 1), np.nan)
    made[joined["row"].to_numpy()] = np.clip(joined.drop("row", TIME).to_numpy(), -LIMIT, LIMIT)
    made[np.isnan(made).any(axis=1)] = np.nan
    return made


def check_causal(hook: PreprocessHook, rows: tuple[Floats, Floats], params: Mapping[str, Any]) -> None:
    """Raise PreprocessError where the features of rows change when later rows are taken away: one away, a third away."""
    whole = build_hook_features(hook, rows, params)
    for kept in (len(whole) - 1, 2 * len(whole) // 3):
        part = build_hook_features(hook, (rows[0][:kept], rows[1][:kept]), params)
        if part.shape[1] != whole.shape[1]:
            found = f"{whole.shape[1]} columns of numbers for {len(whole)} rows and {part.shape[1]} for {kept}"
            raise PreprocessError(f"{hook.place}: preprocess() returned {found}; return the same ones always")
        if not np.allclose(part, whole[:kept], rtol=_CLOSE, atol=0, equal_nan=True):
            raise PreprocessError(
                f"{hook.place}: preprocess() looks ahead: the features of {kept} rows are others without the {len(whole) - kept} rows "
                "after them. Use those at or before each row only (no centred windows, shift(-1), or scaling by the whole table)"
            )


def _call(hook: PreprocessHook, table: pl.DataFrame, params: Mapping[str, Any]) -> object:
    function, wants_pandas = _load(hook)
    try:
        return function(table.to_pandas() if wants_pandas else table, **params)
    except (Exception, SystemExit) as error:
        raise PreprocessError(f"{hook.filename}:{_find_line(error, hook)}: preprocess() raised {type(error).__name__}: {error}") from error


@cache
def _load(hook: PreprocessHook) -> tuple[Callable[..., object], bool]:
    """Compile a hook under its file's name and line; return its function, and whether it is written for pandas."""
    padded = "\n" * (hook.line - 1) + hook.source
    linecache.cache[hook.filename] = (len(padded), None, padded.splitlines(keepends=True), hook.filename)
    module = ModuleType("preprocess_hook")
    module.__file__ = hook.filename
    try:
        exec(compile(padded, hook.filename, "exec"), module.__dict__)  # noqa: S102 - the team's own code
    except BaseException as error:
        raise PreprocessError(f"{hook.filename}:{_find_line(error, hook)}: {type(error).__name__}: {error}") from error
    function = getattr(module, FUNCTION, None)
    if not callable(function):
        raise PreprocessError(f"{hook.place}: defines no function {FUNCTION}(rows, **preprocess_params)")
    return function, _is_for_pandas(hook.source)


def _is_for_pandas(source: str) -> bool:
    """Tell whether source imports pandas and not polars: Anomstack's hooks are given pandas tables."""
    imported: set[str] = set()
    for part in ast.walk(ast.parse(source)):
        if isinstance(part, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in part.names}
        elif isinstance(part, ast.ImportFrom):
            imported.add((part.module or "").split(".")[0])
    return "pandas" in imported and "polars" not in imported


def _to_features(hook: PreprocessHook, result: object) -> pl.DataFrame:
    """Return metric_timestamp and the features as floats, one row a time."""
    if hasattr(result, "reset_index") and TIME not in getattr(result, "columns", ()):
        result = result.reset_index()  # pandas: the time may be its index
    try:
        table = as_polars(result)
        table = conform_times(table, "UTC") if TIME in table.columns else table
    except AnomflowError as error:
        kind = type(result).__qualname__
        raise PreprocessError(f"{hook.place}: preprocess() returned a {kind}; return a polars, pandas or Arrow table") from error
    names = [name for name, dtype in table.schema.items() if name not in _CARRIED and (dtype.is_numeric() or dtype == pl.Boolean)]
    if TIME not in table.columns or not names:
        raise PreprocessError(
            f"{hook.place}: preprocess() returned the columns {table.columns}; "
            f"allowed are {TIME} (or a pandas index of it) and columns of numbers"
        )
    if table[TIME].is_duplicated().any():
        raise PreprocessError(f"{hook.place}: preprocess() returned a time twice; a row of features belongs to one row of the metric")
    return table.select(TIME, *(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in names))


def _find_line(error: BaseException, hook: PreprocessHook) -> int:
    lines = [place.lineno for place in traceback.extract_tb(error.__traceback__) if place.filename == hook.filename]
    if isinstance(error, SyntaxError) and error.filename == hook.filename:
        lines.append(error.lineno)
    return next((line for line in reversed(lines) if line is not None), hook.line)
