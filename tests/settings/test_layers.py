from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomflow.batches.layers import KeyPath, Layer, Origin, merge_layers, merge_values

KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=3)


@given(MAPPINGS)
def test_merging_with_itself_or_with_nothing_changes_nothing(values: dict[str, Any]) -> None:
    assert merge_values(values, values) == values
    assert merge_values(values, {}) == values
    assert merge_values({}, values) == values


@given(MAPPINGS, MAPPINGS)
def test_the_upper_layer_wins_and_a_second_time_adds_nothing(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    merged = merge_values(lower, upper)

    assert merge_values(merged, upper) == merged
    assert set(merged) == set(lower) | set(upper)
    for key, value in upper.items():
        assert merged[key] == (merge_values(lower[key], value) if _both_mappings(lower.get(key), value) else value)


def _both_mappings(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


@given(MAPPINGS, MAPPINGS, MAPPINGS)
def test_merged_values_keep_the_inputs_as_they_are(first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]) -> None:
    before = repr((first, second, third))

    merge_values(merge_values(first, second), third)

    assert repr((first, second, third)) == before


def _layer(values: dict[str, Any], where: str) -> Layer:
    return Layer(values, {path: Origin("file", where) for path in _paths(values, ())})


def _paths(values: Any, prefix: KeyPath) -> list[KeyPath]:
    if not isinstance(values, dict):
        return []
    return [path for key, value in values.items() for path in ((*prefix, key), *_paths(value, (*prefix, key)))]


@given(MAPPINGS, MAPPINGS)
def test_every_merged_value_knows_the_layer_that_it_came_from(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    merged = merge_layers(_layer(lower, "lower"), _layer(upper, "upper"))

    assert set(merged.origins) == set(_paths(merged.values, ()))
    assert {path for path, origin in merged.origins.items() if origin.where == "upper"} == set(_paths(upper, ()))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("a",), Origin("file", "x.yaml", 1)),
        (("a", "inner"), Origin("file", "x.yaml", 2)),
        (("a", "other"), Origin("file", "x.yaml", 1)),
        (("b",), Origin("default", "default")),
    ],
)
def test_a_value_without_an_origin_takes_the_nearest_around_it(path: KeyPath, expected: Origin) -> None:
    layer = Layer({}, {("a",): Origin("file", "x.yaml", 1), ("a", "inner"): Origin("file", "x.yaml", 2)})

    assert layer.origin(path) == expected
