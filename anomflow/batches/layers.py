"""Values with the places that they came from, and how one layer of them overrides another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from anomflow.errors import Problem

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Origin:
    """Where a value came from.

    ``line`` is that of its key, from 1; ``text_line`` that of the first line of a text that keeps its line breaks.
    """

    kind: Literal["default", "file", "environment", "set"]
    where: str
    line: int | None = None
    text_line: int | None = None

    def __str__(self) -> str:
        """Return ``file:line``, or the variable, option or `default` that it is."""
        return self.where if self.line is None else f"{self.where}:{self.line}"


DEFAULT: Final = Origin("default", "default")


@dataclass(frozen=True)
class Layer:
    """Settings by key, and the origin of each of them and of the values inside (by path)."""

    values: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)

    def origin(self, path: KeyPath) -> Origin:
        """Return the origin of a value or of the nearest value around it."""
        nearest = (self.origins[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self.origins)
        return next(nearest, DEFAULT)

    def problem(self, path: KeyPath, message: str, *, warning: bool = False) -> Problem:
        """Build a problem that points at a value."""
        origin = self.origin(path)
        return Problem(origin.where, origin.line, message, str(path[0]), warning)


def merge_values(lower: Mapping[Any, Any], upper: Mapping[Any, Any]) -> dict[Any, Any]:
    """Let ``upper`` override ``lower``: mappings merge deep, anything else replaces.

    >>> merge_values({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [3]}})
    {'a': {'x': 1, 'y': [3]}}
    """
    merged = dict(lower)
    for key, value in upper.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge_values(merged[key], value) if both else value
    return merged


def merge_layers(lower: Layer, upper: Layer) -> Layer:
    """Let one layer override another, values and origins alike."""
    replaced = set(_replaced(lower.values, upper.values, ()))
    kept = {
        path: origin for path, origin in lower.origins.items() if not any(path[:length] in replaced for length in range(1, len(path) + 1))
    }
    return Layer(merge_values(lower.values, upper.values), {**kept, **upper.origins})


def _replaced(lower: Mapping[Any, Any], upper: Mapping[Any, Any], prefix: KeyPath) -> Iterator[KeyPath]:
    for key, value in upper.items():
        old = lower.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            yield from _replaced(old, value, (*prefix, key))
        else:
            yield (*prefix, key)
