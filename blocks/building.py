"""Blocks as Prefect objects, made of a file's entries: every fault of every block first, and nothing saved meanwhile."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from anomflow.batches.suggestions import suggest
from anomflow.block_files import NAME, BlockEntry, Filled, fill_fields
from anomflow.errors import AnomflowError, Problem, SettingsError
from blocks.catalog import find_class
from blocks.saved import load_saved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prefect.blocks.core import Block

_NOT_HERE: Final = "is a secret; write {name}: ${{NAME}} and set NAME in the environment"


@dataclass(frozen=True)
class Shape:
    """What a class says of its fields: their names as they are written, which are secret, which are other blocks, which are texts."""

    cls: type[Block]
    names: frozenset[str]
    secrets: tuple[str, ...]
    nested: frozenset[str]
    structured: frozenset[str]


def read_shape(cls: type[Block]) -> Shape:
    """Read the fields of a block class from its schema."""
    schema = cls.model_json_schema()
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    structured = frozenset(name for name, described in properties.items() if _is_structured(described))
    return Shape(cls, frozenset(properties), tuple(schema["secret_fields"]), frozenset(schema["block_schema_references"]), structured)


def _is_structured(described: Mapping[str, Any]) -> bool:
    """Tell whether a field takes a mapping or a list, and no text."""
    types = {described.get("type"), *(choice.get("type") for choice in described.get("anyOf", ()))}
    return bool(types & {"object", "array"}) and "string" not in types


@dataclass
class Building:
    """The blocks of one file on their way to be objects; each is built once, those that it refers to first."""

    entries: Mapping[str, BlockEntry]
    environ: Mapping[str, str] = field(repr=False)
    built: dict[str, Block] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)

    def build(self, ref: str) -> Block | None:
        """Build a block of the file; None where something is wrong with it, which is noted once."""
        if ref not in self.tried:
            self.tried.add(ref)
            self.under_way.append(ref)
            block = self._build_entry(self.entries[ref])
            self.under_way.pop()
            if block is not None:
                self.built[ref] = block
        return self.built.get(ref)

    def _build_entry(self, entry: BlockEntry) -> Block | None:
        try:
            shape = read_shape(find_class(entry.kind))
        except AnomflowError as error:
            self.problems.append(entry.problem(str(error)))
            return None
        filled = fill_fields(entry, self.environ)
        faults = [*filled.problems, *_find_unknown(entry, shape), *_find_literal_secrets(entry, filled, shape)]
        fields = {name: self._read_field(entry, name, filled, shape) for name in filled.fields}
        self.problems += faults
        if faults or any(value is _MISSING for value in fields.values()):
            return None
        try:
            return shape.cls(**fields)
        except (ValidationError, ValueError, TypeError) as error:
            self.problems += _describe_faults(entry, filled, error)
            return None

    def _read_field(self, entry: BlockEntry, name: str, filled: Filled, shape: Shape) -> Any:
        value = filled.fields[name]
        if name in shape.nested and isinstance(value, str | dict):
            return self._find_nested(entry, name, str(value) if isinstance(value, str) else "")
        if name in shape.structured and isinstance(value, str) and (name,) in filled.from_environment:
            return _parse_json(value)
        return value

    def _find_nested(self, entry: BlockEntry, name: str, ref: str) -> Any:
        """Return the block that a field names: of this file, else a saved one."""
        kind, slash, block_name = ref.partition("/")
        if not slash or not NAME.fullmatch(block_name):
            self.problems.append(
                entry.problem(f"{name} is another block; write its kind/name here, and the block itself as an entry of its own", name)
            )
            return _MISSING
        if ref in self.under_way:
            self.problems.append(entry.problem(f"{name} refers to {ref}, which refers back to {entry.ref}", name))
            return _MISSING
        if ref in self.entries:
            return self.build(ref) or _MISSING
        try:
            return load_saved(find_class(kind), block_name)
        except AnomflowError as error:
            self.problems.append(entry.problem(f"{name}: {error}", name))
            return _MISSING


_MISSING: Final = object()


def build_blocks(entries: Sequence[BlockEntry], environ: Mapping[str, str]) -> dict[str, Block]:
    """Build all blocks, each after those that it refers to; raises SettingsError with every fault of every block."""
    building = Building({entry.ref: entry for entry in entries}, environ)
    for entry in entries:
        building.build(entry.ref)
    problems = [*building.problems, *_find_doubles(entries, building.built)]
    if problems:
        raise SettingsError(problems)
    return building.built


def _find_doubles(entries: Sequence[BlockEntry], built: Mapping[str, Block]) -> Iterator[Problem]:
    """Report one block under two words, our kind and its slug."""
    seen: dict[tuple[str, str], str] = {}
    for entry in entries:
        if entry.ref in built:
            first = seen.setdefault((type(built[entry.ref]).get_block_type_slug(), entry.name), entry.ref)
            if first != entry.ref:
                yield entry.problem(f"is the same block as {first}; keep one of them")


def _find_unknown(entry: BlockEntry, shape: Shape) -> Iterator[Problem]:
    for name in entry.fields:
        if name not in shape.names:
            known = ", ".join(sorted(shape.names)) or "none"
            yield entry.problem(f"{name} is no field.{suggest(name, sorted(shape.names), 0.6)} Fields: {known}", name)


def _find_literal_secrets(entry: BlockEntry, filled: Filled, shape: Shape) -> Iterator[Problem]:
    """Report secrets that stand in the file: any value below a secret field that did not come from the environment."""
    for path, value in _walk(entry.fields, ()):
        dotted = ".".join(str(part) for part in path)
        secret = any(fnmatchcase(dotted, pattern) or dotted == pattern.removesuffix(".*") for pattern in shape.secrets)
        if secret and value is not None and path not in filled.from_environment:
            yield entry.problem(f"{dotted} {_NOT_HERE.format(name=path[-1])}", *path)


def _walk(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the values inside, each with its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path, value
        return
    for key, below in inner:
        yield from _walk(below, (*path, key))


def _parse_json(text: str) -> Any:
    """Read a variable's value as JSON where it is; a class may read the text by itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _describe_faults(entry: BlockEntry, filled: Filled, error: Exception) -> list[Problem]:
    """Say what a class has against its fields, without what came from the environment: its words may quote it."""
    if not isinstance(error, ValidationError):
        return [entry.problem(f"the fields do not fit together: {filled.hide_values(str(error))}")]
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return [_describe_fault(entry, filled, fault) for fault in faults]


def _describe_fault(entry: BlockEntry, filled: Filled, fault: Mapping[str, Any]) -> Problem:
    path = tuple(part for part in fault["loc"] if isinstance(part, str | int))
    name = ".".join(str(part) for part in path)
    if fault["type"] == "missing":
        return entry.problem(f"needs the field {name}", *path)
    words = filled.hide_values(str(fault["msg"]).removeprefix("Value error, "))
    return entry.problem(f"{name}: {words}" if name else words, *path)
