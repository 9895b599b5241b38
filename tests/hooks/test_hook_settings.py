"""Arguments of a function that are wrong, found before it runs, with file and line."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from anomflow.batches import load_batch
from anomflow.batches.functions import find_variables
from anomflow.errors import SettingsError


def load(folder: Path, settings: str, function: str):
    """Load a batch `x` of a YAML text, whose first line is its name, and a Python text."""
    (folder / "x").mkdir()
    (folder / "x" / "x.yaml").write_text(f"metric_batch: x\n{settings}")
    (folder / "x" / "x.py").write_text(function)
    return load_batch(folder, "x", {})


@pytest.mark.parametrize(
    ("settings", "function", "place", "words"),
    [
        (
            "ingest_fn_args:\n  city: a\n  contry: b\n",
            "def ingest(city, country='ie'): ...",
            "x.yaml:4",
            "ingest_fn_args.contry is no argument of ingest(). Arguments: city, country. Did you mean country?",
        ),
        ("ingest_fn_args: {a: 1}\n", "def ingest(): ...", "x.yaml:2", "ingest_fn_args.a is no argument of ingest(). Arguments: none."),
        ("", "import os\n\ndef ingest(city): ...", "x.py:3", "ingest() needs the argument city; set it under ingest_fn_args, or give"),
        ("", "def ingest(*, city, a=1): ...", "x.py:1", "ingest() needs the argument city; set it"),
        ("ingest_fn_args: {a: 1}\n", "def ingest(b, /, a): ...", "x.py:1", "ingest() takes b by position only"),
        ("ingest_fn_args: [a]\n", "def ingest(a): ...", "x.yaml:2", "ingest_fn_args is ['a']; allowed is a mapping"),
        ("ingest_fn_args: {1: a}\n", "def ingest(a): ...", "x.yaml:2", "ingest_fn_args"),
    ],
)
def test_wrong_arguments_are_one_error_with_its_place(tmp_path, settings, function, place, words):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, settings, function)
    (problem,) = caught.value.problems
    assert f"{problem}".startswith(f"{tmp_path}/x/{place}: {words}")


@pytest.mark.parametrize(
    ("settings", "function"),
    [
        ("ingest_fn_args: {a: 1, b: 2}\n", "def ingest(a, **rest): ..."),
        ("ingest_fn_args: {b: 2}\n", "def ingest(a=1, /, b=1): ..."),
        ("ingest_fn_args: {z: 2}\n", "from somewhere import ingest"),
        ("ingest_fn_args: {z: 2}\n", "@wrap\ndef ingest(): ..."),
        ("ingest_fn_args: {z: 2}\n", "if 1:\n    def ingest(): ...\nelse:\n    def ingest(z): ..."),
    ],
    ids=["takes any", "has defaults", "imported", "decorated", "defined twice"],
)
def test_what_may_fit_is_left_to_the_run(tmp_path, settings, function):
    assert load(tmp_path, settings, function).warnings == ()


def test_arguments_of_no_function_are_a_warning(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("metric_batch: x\ningest_sql: select 1\ningest_fn_args: {a: 1}\n")
    (warning,) = load_batch(tmp_path, "x", {}).warnings
    assert str(warning) == f"{path}:3: ingest_fn_args has no effect: the batch has no ingest function"


def test_arguments_come_from_the_environment_too(tmp_path):
    load(tmp_path, "ingest_fn_args: {a: 1, b: 2}\n", "def ingest(a, b): ...")
    batch = load_batch(tmp_path, "x", {"ANOMFLOW__X__INGEST_FN_ARGS": '{"b": [3]}'})
    assert batch.spec.ingest.ingest_fn_args == {"a": 1, "b": [3]}


def test_the_prompt_of_anomstack_loads_with_one_warning(tmp_path):
    (tmp_path / "x.yaml").write_text('metric_batch: x\ndisable_ingest: true\nprompt_fn: |\n  {% include "./gone.py" %}\n')
    (warning,) = load_batch(tmp_path, "x", {}).warnings
    assert str(warning) == f"{tmp_path}/x.yaml:3: prompt_fn has no effect: no job of this version asks a language model"


def test_the_variables_that_a_function_reads_are_found():
    source = """
import os
from anomflow.fetching import read_variable
A = os.environ["A_KEY"], os.environ.get("B", ""), os.getenv("C", default=1)
def ingest():
    return read_variable("D", "the key"), os.environ[A], os.environ.get(name), {}["E"]
"""
    assert find_variables(source) == ("A_KEY", "B", "C", "D")
    assert find_variables("def (") == ()
    assert ast.parse(source)
