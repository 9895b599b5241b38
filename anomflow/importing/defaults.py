"""The team's defaults: what is new goes above the generated reference, what is there already stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anomflow.batches.documents import parse_document
from anomflow.batches.layers import merge_values
from anomflow.importing.notes import Note
from anomflow.reference import MARKER, build_defaults, plain, to_yaml

_WHERE = "defaults/defaults.yaml"


def merge_defaults(text: str, values: Mapping[str, Any], *, force: bool) -> tuple[str, tuple[Note, ...]]:
    """Add values to the text of ``defaults.yaml`` (empty where there is none).

    A key that it sets otherwise stays and is told about (``failed``); with ``force`` the values replace what it sets.
    """
    document = parse_document(text, _WHERE)
    if not document.readable:
        return text, (Note(_WHERE, document.problems[0].line, "failed", f"cannot be added to: {document.problems[0].message}"),)
    there = document.layer.values
    new = {key: value for key, value in values.items() if key not in there}
    other = {
        key: value for key, value in values.items() if key in there and merge_values({key: there[key]}, {key: value})[key] != there[key]
    }
    if force and other:
        merged = merge_values(there, values)
        return _insert("", merged), ()
    notes = tuple(
        Note(_WHERE, document.layer.origin((key,)).line, "failed", f"{key} is set otherwise already; --force replaces it", key)
        for key in other
    )
    return (_insert(text, new) if new else text), notes


def _insert(text: str, values: Mapping[str, Any]) -> str:
    lines = "".join(f"{to_yaml(key, plain(value))}\n" for key, value in values.items())
    with_marker = build_defaults() if not text.strip() else text
    if MARKER not in with_marker:
        return f"{with_marker.rstrip()}\n{lines}"
    own, reference = with_marker.split(MARKER, 1)
    return f"{own.rstrip()}\n{lines}\n{MARKER}{reference}"
