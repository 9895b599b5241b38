"""All examples: off by default, described, right for an editor, and those that need nothing run as they are."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from anomflow.batches import load_batch, load_batches
from anomflow.batches.switching import read_summary
from tests.examples.conftest import METRICS

EXAMPLES = METRICS / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "demo")


def text_of(name: str) -> str:
    return (EXAMPLES / name / f"{name}.yaml").read_text(encoding="utf-8")


def test_there_are_all_that_are_promised():
    assert len(NAMES) == 22


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_off_and_valid_when_it_is_switched_on(name):
    assert load_batch(METRICS, name, {}).spec.common.disable_batch
    assert load_batch(METRICS, name, {}, {"disable_batch": "false"}).warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_an_editor_finds_the_schema_and_no_fault(name):
    first = text_of(name).splitlines()[0]
    schema = EXAMPLES / name / re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)[1]
    jsonschema.validate(yaml.safe_load(text_of(name)), json.loads(schema.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_no_example_holds_a_key(name):
    found = [path for path in (EXAMPLES / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    text = "\n".join(path.read_text(encoding="utf-8") for path in found)
    assert re.findall(r"\b(?:sk|phx|phc|ghp|xox[bp])[-_]\w{6,}|(?i:password|secret)\s*[:=]", text) == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[!d]*/*.py")), ids=lambda path: path.stem)
def test_a_function_that_asks_the_web_does_so_with_time_limits(path: Path):
    imported = {name.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import) for name in node.names}
    assert imported.isdisjoint({"httpx", "requests", "urllib.request", "http.client"})


def test_together_they_load_without_a_problem():
    assert load_batches(METRICS, {}).problems == ()


def test_python_measures_a_folder(ingest, rows, tmp_path):
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a").write_bytes(b"x" * 500_000)
    (folder / "b").write_bytes(b"x" * 1_000_000)
    ingest("python", folder=str(folder))
    assert [(name, value) for _, name, value in rows()] == [("folder_files", 2.0), ("folder_megabytes", 1.5)]


def test_thresholds_measures_disks_by_name(ingest, rows, tmp_path):
    ingest("thresholds", folders={"data": str(tmp_path)})
    assert [name for _, name, _ in rows()] == ["disk_free_percent_data", "disk_free_percent_root"]
    assert all(0 < value <= 100 for _, _, value in rows())


def test_switched_off_means_off(home, ingest):
    batch = load_batch(METRICS, "python", {})
    assert batch.spec.is_disabled("ingest")
    assert ingest("python").counts["new"] == 2


def test_the_readme_has_the_line_that_each_example_begins_with():
    lines = (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines()
    expected = [f"| [{name}]({name}/{name}.yaml) | {read_summary(text_of(name))} |" for name in NAMES]
    assert [line for line in lines if line.startswith("| [")] == expected
