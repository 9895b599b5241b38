"""Whether the Python functions of a batch are there, before anything runs them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, cast

from anomflow import sql
from anomflow.batches.batch import Batch, find_lone_include, has_include
from anomflow.batches.functions import defines
from anomflow.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.batches.layers import Layer


def check_function(batch: Batch, layer: Layer, key: str, function: str) -> Iterator[Problem]:
    """Report a source that is there (under a key such as ``ingest_fn``) but cannot be read, is no Python or defines no such function."""
    text = cast("str", batch.value(key))
    included = find_lone_include(text)
    if included is None and has_include(text):
        yield layer.problem((key,), f"{key} mixes an include with other text; it is either one include or Python source")
        return
    if included is not None and sql.resolve_include(batch.folder, included) is None:
        yield layer.problem((key,), f"{key} includes {included}: there is no such file under {batch.folder.as_posix()}")
        return
    try:
        source = batch.find_source(key)
    except (OSError, UnicodeDecodeError) as error:
        yield layer.problem((key,), f"{key} includes {included}, which cannot be read: {error}")
        return
    if source is not None:
        yield from _check_python(source.text, Problem(source.where, source.line, f"defines no function {function}()", key), function)


def _check_python(text: str, undefined: Problem, function: str) -> Iterator[Problem]:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = (undefined.line or 1) + (getattr(error, "lineno", None) or 1) - 1
        yield Problem(undefined.where, line, f"not valid Python: {getattr(error, 'msg', error)}", undefined.key)
        return
    if not defines(module, function):
        yield undefined
