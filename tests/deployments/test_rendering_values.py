"""Any value comes back from prefect.yaml as it was, by the reader that Prefect uses."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from anomflow.deployments.deployment import Deployment, WorkPool
from anomflow.deployments.rendering import render_prefect_yaml, render_value

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(TEXTS | st.sampled_from(["no", "Off", "1:30", "0x1f", "~", "2026-01-01", "a: b", "a #b", "*x", "<<", "=", "\x85", "e1", ".inf"]))
def test_a_text_reads_back_as_it_was(text):
    assert yaml.safe_load(f"a: {render_value(text)}\nb: [{render_value(text)}, 1]\n") == {"a": text, "b": [text, 1]}


@given(st.dictionaries(TEXTS, VALUES, max_size=4), TEXTS)
def test_job_variables_and_words_read_back_as_they_were(variables: dict[str, Any], words: str):
    deployment = Deployment("score", "shop", words, (words,), WorkPool("local", "default", variables), {"batch": words})
    (found,) = yaml.safe_load(render_prefect_yaml([deployment], "p"))["deployments"]
    assert found["work_pool"]["job_variables"] == variables
    assert (found["description"], found["tags"], found["parameters"]) == (words, [words], {"batch": words})


def test_a_value_with_a_line_break_stays_on_its_line():
    assert render_value("a\nb") == '"a\\nb"'
