"""A batch's YAML as Anomflow reads it: line by line where that is possible, so that comments and order stay."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from anomflow.batches.documents import parse_document
from anomflow.importing.changes import Change
from anomflow.importing.keys import read_values
from anomflow.importing.notes import escape
from anomflow.reference import to_yaml

# What YAML counts as the end of a line beside the usual one.
_OTHER_BREAKS: Final = re.compile("[\r\x85\u2028\u2029]")


@dataclass(frozen=True)
class Segment:
    """The lines of one key of the root and those above it that belong to nothing else; ``start`` is the key's own line."""

    key: str
    above: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Rewritten:
    """The new text; ``kept`` tells whether the comments of the old one are in it."""

    text: str
    kept: bool


def rewrite(text: str, changes: Sequence[Change], values: Mapping[str, Any]) -> Rewritten:
    """Apply changes to a YAML text; where editing lines would change what it says, write it anew without its comments."""
    expected = read_values(changes, values)
    segments, below = split_segments(text)
    if segments:
        edited = _join(segments, changes, below)
        document = parse_document(edited, "")
        if document.readable and not document.problems and document.layer.values == expected:
            return Rewritten(edited, kept=True)
    return Rewritten(_write_anew(changes, values, expected), kept=False)


def split_segments(text: str) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Split a block mapping into the lines of its keys and those below the last; nothing where it is no block mapping."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if _OTHER_BREAKS.search(text):
        return (), ()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style or any(key.start_mark.column for key, _ in root.value):
        return (), ()
    lines = text.split("\n")
    starts = [key.start_mark.line for key, _ in root.value]
    ends = [_find_end(lines, start, after) for start, after in zip(starts, [*starts[1:], len(lines)], strict=True)]
    aboves = [lines[end:start] for end, start in zip([0, *ends[:-1]], starts, strict=True)]
    keys = [str(key.value) for key, _ in root.value]
    segments = [
        Segment(key, tuple(above), tuple(lines[start:end])) for key, above, start, end in zip(keys, aboves, starts, ends, strict=True)
    ]
    return tuple(segments), tuple(lines[ends[-1] :])


def _find_end(lines: Sequence[str], start: int, after: int) -> int:
    """Find the line after the last one of a value: empty lines and comments at the margin belong to what follows."""
    end = after
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#") or lines[end - 1] in {"---", "..."}):
        end -= 1
    return end


def _join(segments: Sequence[Segment], changes: Sequence[Change], below: Sequence[str]) -> str:
    by_key = {change.key: change for change in changes}
    last = {segment.key: index for index, segment in enumerate(segments)}
    lines: list[str] = []
    variables: list[str] = []
    for index, segment in enumerate(segments):
        change = by_key[segment.key]
        if last[segment.key] != index:
            change = Change(segment.key, "comment", words="is set again below, which held")
        lines += [*segment.above, *_edit(segment, change)]
        if change.action == "variable":
            variables += [f"  {line}" if line else "" for line in segment.lines]
    tail = [line for line in below if line.strip()]
    return "\n".join([*lines, *(["vars:", *variables] if variables else []), *tail]).rstrip("\n") + "\n"


def _edit(segment: Segment, change: Change) -> list[str]:
    if change.action == "keep":
        return list(segment.lines)
    if change.action == "set":
        return [line for key, value in change.values.items() for line in to_yaml(key, value).split("\n")]
    if change.action == "comment":
        return [_explain(change), *(f"# {escape(line)}".rstrip() for line in segment.lines)]
    return []


def _explain(change: Change) -> str:
    """Say why a key is a comment, on one line whatever the key holds: a line break in it would end the comment."""
    return f"# Not imported, {escape(change.key)} {escape(change.words)}:"


def _write_anew(changes: Sequence[Change], values: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    lines = [line for key, value in expected.items() for line in to_yaml(key, value).split("\n")]
    for change in changes:
        if change.action == "comment":
            lines += [_explain(change)]
            lines += [f"# {escape(line)}".rstrip() for line in to_yaml(change.key, values[change.key]).split("\n")]
    return "\n".join(lines) + "\n"
