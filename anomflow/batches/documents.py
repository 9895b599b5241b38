"""YAML text as a layer: values with their lines, duplicate keys reported, aliases and depth bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final

import yaml

from anomflow.batches.layers import KeyPath, Layer, Origin
from anomflow.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

# Aliases are counted as often as they are used, so that a few lines cannot stand for billions of values.
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 40

_PREFIX: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_PREFIX}merge"
_PLAIN_TAGS: Final = frozenset(_PREFIX + tag for tag in ("null", "bool", "int", "float", "str", "map", "seq"))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C parser where PyYAML has it
    """Resolve plain scalars as YAML 1.2 does: `no` and `10:30` and `2024-01-01` are text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name and kind


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_PREFIX + _tag, re.compile(f"^(?:{_pattern})$"), _first)


@dataclass(frozen=True)
class Document:
    """What was read of a file, and what is wrong with it as YAML; ``readable`` tells whether it was YAML at all."""

    layer: Layer
    problems: tuple[Problem, ...] = ()
    readable: bool = True


class _RefusedError(Exception):
    """Stop reading at a line, with a reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _line(node: yaml.Node | yaml.Event) -> int:
    mark = node.start_mark
    return 1 if mark is None else int(mark.line) + 1


@dataclass
class _Reader:
    """Turn nodes into values, noting origins and problems on the way."""

    where: str
    loader: Any
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0
    key_line: int = 1  # of the outermost key that is being read

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise _RefusedError(self.key_line, f"holds more than {MAX_VALUES} values, aliases counted as often as they are used")
        if len(path) > MAX_DEPTH:
            raise _RefusedError(self.key_line, f"is nested more than {MAX_DEPTH} deep")
        if node.tag not in _PLAIN_TAGS:
            raise _RefusedError(_line(node), f"has the tag {node.tag}; only plain text, numbers, lists and mappings are allowed")
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._read_element(child, (*path, index)) for index, child in enumerate(node.value)]
        return self.loader.construct_object(node)

    def _read_element(self, node: yaml.Node, path: KeyPath) -> Any:
        self.origins[path] = Origin("file", self.where, _line(node))
        return self.read(node, path)

    def _read_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        lines: dict[Hashable, int] = {}
        own: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            self.key_line = self.key_line if path else _line(key_node)
            if key_node.tag == _MERGE:
                merged = {**self._read_merged(value_node, path), **merged}
                continue
            key = self._read_key(key_node, path)
            if key in lines:
                self.problems.append(Problem(self.where, _line(key_node), f"{key} is set twice, first in line {lines[key]}", str(key)))
            lines[key] = _line(key_node)
            self.origins[(*path, key)] = Origin("file", self.where, _line(key_node), _text_line(value_node))
            own[key] = self.read(value_node, (*path, key))
        return {**merged, **own}

    def _read_merged(self, node: yaml.Node, path: KeyPath) -> dict[Any, Any]:
        """Read what ``<<`` names: a mapping, or a list of mappings of which the first wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[Any, Any] = {}
        before = dict(self.origins)
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                raise _RefusedError(_line(source), "is merged by <<, but is not a mapping")
            merged = {**self.read(source, path), **merged}
        self.origins |= before
        return merged

    def _read_key(self, node: yaml.Node, path: KeyPath) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN_TAGS:
            raise _RefusedError(_line(node), "is a key that is not plain text")
        key = self.loader.construct_object(node)
        if not path and not isinstance(key, str):
            self.problems.append(Problem(self.where, _line(node), f"{key!r} is not a setting; a key is text", str(key)))
        return key


def _text_line(node: yaml.Node) -> int | None:
    """Return the line of a text's first line, where line breaks of the file are those of the text."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    if node.style == "|":
        return _line(node) + 1
    return _line(node) if node.start_mark.line == node.end_mark.line else None


def parse_document(text: str, where: str) -> Document:
    """Read YAML text whose root is a mapping (or nothing) and report all that is wrong with it."""
    try:
        _check_depth(text)
        reader = _Reader(where, _Loader(text))
        values = _read_root(reader)
    except yaml.YAMLError as error:
        return _unreadable(where, _error_line(error, text), f"not valid YAML: {_reason(error)}")
    except _RefusedError as error:
        return _unreadable(where, error.line, str(error))
    except ValueError as error:
        return _unreadable(where, 1, f"holds a value that cannot be read: {error}")
    return Document(Layer(values, reader.origins), tuple(reader.problems))


def _check_depth(text: str) -> None:
    """Refuse deep nesting before nodes are made of it: PyYAML recurses there, and in C that ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _RefusedError(_line(event), f"is nested more than {MAX_DEPTH} deep")


def _read_root(reader: _Reader) -> dict[str, Any]:
    root = reader.loader.get_single_node()
    if root is None or root.tag == f"{_PREFIX}null":
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise _RefusedError(_line(root), "is not a mapping of settings; write `key: value` lines")
    return {key: value for key, value in reader.read(root, ()).items() if isinstance(key, str)}


def read_document(path: Path) -> Document:
    """Read a YAML file in UTF-8."""
    where = path.as_posix()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return _unreadable(where, error.object[: error.start].count(b"\n") + 1, "is not UTF-8 text; save the file as UTF-8")
    except OSError as error:
        return _unreadable(where, None, f"cannot be read: {error.strerror}")
    return parse_document(text, where)


def parse_value(text: str) -> Any:
    """Read a value that stands alone (in a variable, after ``--set``) as YAML or JSON; raise ValueError with the reason."""
    document = parse_document(f"value:\n{indent(text, ' ')}" if "\n" in text else f"value: {text}", "value")
    if document.problems or "value" not in document.layer.values:
        reason = document.problems[0].message if document.problems else "not valid YAML"
        raise ValueError(reason)
    return document.layer.values["value"]


def _unreadable(where: str, line: int | None, message: str) -> Document:
    return Document(Layer(), (Problem(where, line, message),), readable=False)


def _error_line(error: yaml.YAMLError, text: str) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return min(int(mark.line) + 1, max(1, len(text.splitlines())))
    position = getattr(error, "position", 0)
    return text[:position].count("\n") + 1


def _reason(error: yaml.YAMLError) -> str:
    parts = [getattr(error, name, None) for name in ("context", "problem", "reason")]
    return ", ".join(part for part in parts if part) or "it cannot be parsed"
