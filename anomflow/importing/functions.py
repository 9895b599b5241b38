"""What an ingest function of Anomstack may expect that it does not get here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

# Names that Anomstack's own module left lying around for the code that it ran.
_GIVEN: Final = {"pd": "import pandas as pd", "ast": "import ast", "get_dagster_logger": "from dagster import get_dagster_logger"}
_READERS: Final = {"open", "read_csv", "read_json", "read_parquet", "read_excel", "read_text", "read_bytes", "Path"}
_HOSTS: Final = ("anomstack", "dagster")


def find_expectations(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line (from 1) and the words for each thing in Python source that should be looked at."""
    jinja = next((number for number, line in enumerate(text.splitlines(), 1) if "{{" in line or "{%" in line), None)
    if jinja is not None:
        yield jinja, "is a Jinja template there, and run as it stands here: double braces and {% %} are not rendered"
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the loader tells, with its line
        return
    bound = {name for node in ast.walk(module) for name in _find_bound(node)}
    for name, remedy in _GIVEN.items():
        line = next((node.lineno for node in ast.walk(module) if isinstance(node, ast.Name) and node.id == name), None)
        if line is not None and name not in bound:
            yield line, f"uses {name} without importing it, which worked there by accident; add: {remedy}"
    for node in ast.walk(module):
        yield from _look_at(node)


def _find_bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from (name.asname or name.name.split(".")[0] for name in names)
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
            yield name


def _look_at(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Import(names=[ast.alias(name=module), *_]) | ast.ImportFrom(module=str(module)) if module.split(".")[0] in _HOSTS:
            yield node.lineno, f"imports {module}, which is not installed with Anomflow"
        case ast.Call(func=ast.Name(id="print")):
            yield node.lineno, "prints: what it prints goes to the terminal of the run, and into no log"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(value=str(path)), *_]) if name in _READERS:
            if "://" not in path and not path.startswith("/"):
                yield node.lineno, f"reads {path!r} by a relative path, which begins at the folder that the run was started in"
        case ast.Constant(value=str(text)) if text.startswith("ANOMSTACK_"):
            yield node.lineno, f"reads the variable {text}; keep it under this name"
