"""Preprocess functions: what they may return, and what is told of one that raises or looks ahead."""

from __future__ import annotations

import numpy as np
import pytest

from anomflow.errors import PreprocessError
from anomflow.preprocessing import PreprocessHook, build_hook_features, check_causal

SECONDS = 1.7e9 + 60.0 * np.arange(40)
VALUES = np.random.RandomState(3).normal(size=40)
CHANGE = np.diff(VALUES, prepend=np.nan)
POLARS = "import polars as pl\ndef preprocess(rows, **_):\n    return "
PANDAS = "import pandas as pd\ndef preprocess(rows, **_):\n    rows = rows.sort_values('metric_timestamp')\n    return "

RETURNED = [
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value').diff())",
    POLARS + "rows.lazy().select('metric_timestamp', pl.col('metric_value').diff())",
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value').diff()).to_arrow()",
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value').diff()).drop_nulls().reverse()",
    PANDAS + "rows.set_index('metric_timestamp')[['metric_value']].diff()",
    PANDAS + "rows.set_index('metric_timestamp')[['metric_value']].diff().dropna()",
    PANDAS + "pd.DataFrame({'metric_timestamp': rows.metric_timestamp, 'x': rows.metric_value.diff(), 'metric_name': 'a'})",
]


def features(source: str, **params: object) -> np.ndarray:
    return build_hook_features(PreprocessHook(source, "x/x.yaml", 7), (SECONDS, VALUES), params)


@pytest.mark.parametrize("source", RETURNED)
def test_any_table_by_time_is_features(source: str) -> None:
    np.testing.assert_allclose(features(source)[:, 0], CHANGE)


def test_parameters_are_given() -> None:
    source = "def preprocess(rows, back):\n    return rows.with_columns(x=rows['metric_value'].shift(back))"

    np.testing.assert_array_equal(features(source, back=2)[2:, 1], VALUES[:-2])


WRONG = [
    ("def preprocess(rows):\n    return 5", r"x/x\.yaml:7: preprocess\(\) returned a int; return a polars, pandas or Arrow table"),
    ("def preprocess(rows):\n    return rows['metric_value']", r"x/x\.yaml:7: preprocess\(\) returned a Series; return a polars, pandas"),
    ("def preprocess(rows):\n    raise SystemExit(3)", r"x/x\.yaml:8: preprocess\(\) raised SystemExit: 3"),
    ("def preprocess(rows):\n    return rows.select('metric_value')", r"x/x\.yaml:7: .*the columns \['metric_value'\]; allowed are"),
    ("def preprocess(rows):\n    return rows.select('metric_timestamp')", r"x/x\.yaml:7: .*allowed are metric_timestamp"),
    ("def preprocess(rows):\n    return rows.extend(rows)", r"x/x\.yaml:7: .*returned a time twice"),
    ("def preprocess(rows):\n    x = 1\n    return x / 0", r"x/x\.yaml:9: preprocess\(\) raised ZeroDivisionError: division by zero"),
    ("def preprocess(rows, other):\n    return rows", r"x/x\.yaml:7: preprocess\(\) raised TypeError"),
    ("import no_such_module\ndef preprocess(rows): ...", r"x/x\.yaml:7: ModuleNotFoundError"),
    ("x = 1\nx = = 2", r"x/x\.yaml:8: SyntaxError"),
    ("def prepare(rows): ...", r"x/x\.yaml:7: defines no function preprocess"),
]


@pytest.mark.parametrize(("source", "words"), WRONG)
def test_a_function_that_fails_is_told_with_its_line(source: str, words: str) -> None:
    with pytest.raises(PreprocessError, match=words):
        features(source)


AHEAD = [
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value').shift(-1))",
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value').rolling_mean(3, center=True))",
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value') - pl.col('metric_value').mean())",
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value').reverse())",
    POLARS + "rows.select('metric_timestamp', pl.col('metric_value').rank())",
]


@pytest.mark.parametrize("source", AHEAD)
def test_a_function_that_looks_ahead_is_found_out(source: str) -> None:
    with pytest.raises(PreprocessError, match=r"x/x\.yaml:1: preprocess\(\) looks ahead: the features of \d+ rows are others"):
        check_causal(PreprocessHook(source, "x/x.yaml"), (SECONDS, VALUES), {})


def test_a_function_whose_columns_vary_is_found_out() -> None:
    source = POLARS + "rows.select('metric_timestamp', *(pl.col('metric_value').alias(f'x{k}') for k in range(1 + rows.height % 2)))"
    with pytest.raises(PreprocessError, match=r"returned 1 columns of numbers for 40 rows and 2 for 39; return the same ones always"):
        check_causal(PreprocessHook(source, "x/x.yaml"), (SECONDS, VALUES), {})


@pytest.mark.parametrize("source", [*RETURNED, POLARS + "rows.select('metric_timestamp', pl.col('metric_value').ewm_mean(alpha=0.1))"])
def test_a_function_that_looks_back_is_not_blamed(source: str) -> None:
    check_causal(PreprocessHook(source, "x/x.yaml"), (SECONDS, VALUES), {})
