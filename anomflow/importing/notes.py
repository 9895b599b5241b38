"""What an import tells about what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["done", "look", "failed"]


def escape(text: str) -> str:
    r"""Write what a terminal or a file could take for more than text (line breaks, escape codes) as Python does: ``\n``."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


@dataclass(frozen=True)
class Note:
    """One thing that an import did or could not do.

    ``level`` is ``done`` where nothing is to be done about it, ``look`` where a person should, ``failed`` where something
    was not brought over at all. ``where`` is a file of the source (``line`` counts from 1) or a variable's name.
    """

    where: str
    line: int | None
    level: Level
    message: str
    key: str | None = None

    @property
    def words(self) -> str:
        """Return the message without the key that it begins with."""
        return self.message if self.key is None else self.message.removeprefix(f"{self.key} ")

    @property
    def place(self) -> str:
        """Return ``file:line`` or the variable."""
        return self.where if self.line is None else f"{self.where}:{self.line}"

    def __str__(self) -> str:
        """Return the note with its place, as one line."""
        return f"{self.place}: {self.message}"
