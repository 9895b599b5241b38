"""The rules of the house that no linter knows, checked on every file of the checkout."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import anomflow

ROOT = Path(__file__).parent.parent
PACKAGES = ("anomflow", "blocks", "cli", "flows", "tasks")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Written in parts, so that these rules do not find themselves.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
PLACE = re.compile(r"(?<![\w.:/{}$~-])/(work|root|home|Users)/[\w.-]+")
INDEX = re.compile(r"--(extra-)?index" r"-url|--find" r"-links|--trusted" r"-host|\[\[?tool\.uv\.index")
MOCK = re.compile(r"\bMagic" r"Mock\b|\bunittest\.mo" r"ck\b|\bmoc" r"ker\b|monkeypatch\.set" r"attr|\bpatch\(")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def find_files() -> tuple[Path, ...]:
    """Return the files that git knows or would add; without git, all but hidden ones."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - whichever git is there
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [path.relative_to(ROOT) for path in ROOT.rglob("*")] if listed.returncode else []
    visible = [str(path) for path in found if not any(part.startswith((".", "__")) for part in path.parts)]
    names = visible or [name for name in listed.stdout.split("\0") if name]
    return tuple(path for name in sorted(names) if (path := ROOT / name).is_file())


@cache
def read_texts() -> dict[str, str]:
    """Return the text of each file by its name in the checkout; pictures and other bytes are left out."""
    found = {str(path.relative_to(ROOT)): path.read_bytes() for path in find_files()}
    return {name: content.decode("utf-8") for name, content in found.items() if b"\0" not in content}


@cache
def parse_modules() -> dict[str, ast.Module]:
    return {name: ast.parse(text) for name, text in read_texts().items() if name.endswith(".py")}


def find_lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in read_texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def find_tests() -> list[tuple[str, Function]]:
    return [
        (f"{name}:{node.lineno} {node.name}", node)
        for name, module in parse_modules().items()
        if name.startswith("tests/")
        for node in ast.walk(module)
        if isinstance(node, Function) and node.name.startswith("test_")
    ]


def contains_assert(nodes: list[ast.stmt]) -> bool:
    return any(isinstance(inner, ast.Assert) for node in nodes for inner in ast.walk(node))


def is_public(node: ast.AST) -> bool:
    """Tell whether a definition is part of a module's surface; the signatures of an overload are part of the last one."""
    is_named = isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    return is_named and not any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


@pytest.mark.parametrize("pattern", [UNFINISHED, PLACE, INDEX], ids=["unfinished work", "place on a machine", "package index"])
def test_no_file_has(pattern: re.Pattern[str]) -> None:
    lines = [line for line in find_lines(pattern) if not line.startswith(("requirements.lock:", "LICENSE:"))]
    assert lines == []


def test_no_relative_import() -> None:
    relative = [
        f"{name}:{node.lineno}"
        for name, module in parse_modules().items()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_no_flow_hides_another_module() -> None:
    """Prefect loads `flows/x.py` as module `x`, with `flows/` first on the path."""
    taken = sys.stdlib_module_names | metadata.packages_distributions().keys()
    assert {path.stem for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__"} & taken == set()


def test_public_functions_and_classes_are_documented() -> None:
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, module in parse_modules().items()
        if name.startswith(PACKAGES)
        for node in module.body
        if is_public(node) and ast.get_docstring(node) is None
    ]
    assert silent == []


def test_no_assert_hides_in_a_branch() -> None:
    branches = [
        f"{name}, line {node.lineno}"
        for name, test in find_tests()
        for node in ast.walk(test)
        if isinstance(node, ast.If) and contains_assert([*node.body, *node.orelse])
    ]
    assert branches == []


def test_the_tests_run_real_parts() -> None:
    mocks = [line for line in find_lines(MOCK) if line.startswith("tests/")]
    assert len(mocks) < 0.05 * len(find_tests()), mocks


def test_versions_agree() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert anomflow.__version__ == PROJECT["version"]
    assert f"\n## [{PROJECT['version']}]" in changes or "\n## [Unreleased]" in changes
    assert set(re.findall(r"Python (\d\.\d+)", README)) == {PROJECT["requires-python"].removeprefix(">=")}


def test_ci_runs_on_every_python_that_is_promised() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    promised = [found[1] for text in PROJECT["classifiers"] if (found := re.search(r":: (\d\.\d+)$", text))]
    assert workflow["jobs"]["run"]["strategy"]["matrix"]["python"] == promised


def test_every_command_of_make_is_in_the_readme_and_has_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {target for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for target in line.split()}
    assert targets == set(re.findall(r"^([a-z-]+):.*## \w", makefile, re.MULTILINE))
    assert targets - {"help"} == set(re.findall(r"^\| `make ([a-z-]+)` \|", README, re.MULTILINE))
