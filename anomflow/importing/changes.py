"""What is given of a file, and what becomes of each of its keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from anomflow.importing.notes import Level

Action = Literal["keep", "set", "variable", "comment", "drop"]


@dataclass(frozen=True)
class Change:
    """What becomes of a key: kept, set otherwise (``values``), a variable, commented out, or dropped; and what to tell."""

    key: str
    action: Action
    values: Mapping[str, Any] = field(default_factory=dict)
    level: Level = "done"
    words: str = ""


@dataclass(frozen=True)
class Given:
    """The keys of a file, and the variables that its templates use; ``shared`` for the defaults of all batches.

    ``models`` tells whether this file or the defaults name models of PyOD, which features are made for.
    """

    values: Mapping[str, Any]
    used: Collection[str] = ()
    shared: bool = False
    models: bool = False
