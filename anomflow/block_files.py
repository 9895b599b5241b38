"""A file of Prefect blocks as a team commits it: ``kind/name`` with its fields, values from the environment by ``${NAME}``.

Only texts and places are known here; which fields a kind has, and which of them are secret, its class knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from anomflow.batches.documents import parse_document
from anomflow.batches.suggestions import suggest
from anomflow.errors import Problem
from anomflow.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.batches.layers import KeyPath, Layer

NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_REFERENCE: Final = re.compile(r"\$(?:(?P<escaped>\$)\{|\{(?P<name>[^}]*)\}|(?P<open>\{))")
_SHORTEST: Final = 4  # a shorter value is no secret, and would be found in innocent words
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class BlockEntry:
    """One block of a file: its kind and name, its fields as they are written there, and where."""

    kind: str
    name: str
    fields: Mapping[str, Any] = field(repr=False)
    layer: Layer = field(repr=False)

    @property
    def ref(self) -> str:
        """Return ``kind/name``, as batches name a block."""
        return f"{self.kind}/{self.name}"

    def problem(self, message: str, *path: str | int) -> Problem:
        """Build a problem that points at the block, or at a value inside."""
        return self.layer.problem((self.ref, *path), f"{self.ref}: {message}")


def read_entries(text: str, where: str) -> tuple[list[BlockEntry], list[Problem]]:
    """Read the blocks of a file's text, and all that is wrong with it before a class is asked."""
    document = parse_document(text, where)
    problems = list(document.problems)
    entries: list[BlockEntry] = []
    for ref, fields in document.layer.values.items():
        wrong = _find_fault(ref, fields)
        if wrong:
            problems.append(document.layer.problem((ref,), wrong))
            continue
        kind, _, name = ref.partition("/")
        entries.append(BlockEntry(kind, name, fields or {}, document.layer))
    if document.readable and not document.problems and not document.layer.values:
        problems.append(Problem(where, None, _EMPTY))
    return entries, problems


_EMPTY: Final = "holds no blocks; write kind/name: and the block's fields below it"


def _find_fault(ref: str, fields: object) -> str | None:
    kind, slash, name = ref.partition("/")
    if not slash or not NAME.fullmatch(kind) or not NAME.fullmatch(name):
        return f"{ref!r} does not name a block; write kind/name, both of small letters, digits and single dashes (email/oncall)"
    if fields is not None and not isinstance(fields, dict):
        return f"{ref} is not a mapping; write its fields below it, `field: value` each"
    unnamed = [key for key in fields or {} if not isinstance(key, str)]
    return f"{ref}: {unnamed[0]!r} is no field; a field is text" if unnamed else None


@dataclass(frozen=True)
class Filled:
    """A block's fields with the values of their variables, the paths of those that name any, and the values put in."""

    fields: Mapping[str, Any] = field(repr=False)
    from_environment: frozenset[KeyPath]
    values: frozenset[str] = field(repr=False)
    problems: tuple[Problem, ...]

    def hide_values(self, text: str) -> str:
        """Replace what came from the environment in a text that others wrote."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, "********") if len(value) >= _SHORTEST else text
        return text


def fill_fields(entry: BlockEntry, environ: Mapping[str, str]) -> Filled:
    """Put the values of variables in the place of ``${NAME}``, also inside of texts; ``$${`` stands for ``${``.

    A variable that is not set or empty, and a literal password in an address, are problems that quote no value.
    """
    filling = _Filling(entry, environ)
    fields = {name: filling.fill(value, (name,)) for name, value in entry.fields.items()}
    return Filled(fields, frozenset(filling.filled), frozenset(filling.values), tuple(filling.problems))


class _Filling:
    """Walk through the values of a block and note what was filled and what is wrong."""

    def __init__(self, entry: BlockEntry, environ: Mapping[str, str]) -> None:
        self.entry = entry
        self.environ = environ
        self.filled: set[KeyPath] = set()
        self.values: set[str] = set()
        self.problems: list[Problem] = []

    def fill(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {key: self.fill(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, (*path, index)) for index, inner in enumerate(value)]
        return self._fill_text(value, path) if isinstance(value, str) else value

    def _fill_text(self, text: str, path: KeyPath) -> str:
        written = _REFERENCE.sub("", text)
        if mask_secrets(written, {}) != written:
            self._complain("holds a password; write ${NAME} in its place and set NAME in the environment", path)
        return _REFERENCE.sub(lambda match: self._find_value(match, path), text)

    def _find_value(self, match: re.Match[str], path: KeyPath) -> str:
        if match["escaped"]:
            return "${"
        self.filled.add(path)
        name = match["name"]
        if name is None or not _VARIABLE.fullmatch(name):
            self._complain(f"{match[0]!r} names no variable; write ${{NAME}}, or $${{ for the text ${{", path)
            return ""
        value = self.environ.get(name)
        if not value:
            near = suggest(name, [known for known, given in self.environ.items() if given])
            self._complain(f"the variable {name} is not set. Set it to a value and run again.{near}", path)
            return ""
        self.values.add(value)
        return value

    def _complain(self, message: str, path: KeyPath) -> None:
        dotted = ".".join(str(part) for part in path)
        self.problems.append(self.entry.problem(f"{dotted}: {message}", *path))
