"""Switch a batch on or off in its own file, by a change of one line; all else of the file stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anomflow.batches.editing import set_text, write_setting

if TYPE_CHECKING:
    from pathlib import Path

KEY: Final = "disable_batch"


def switch_text(text: str, where: str, *, disabled: bool) -> str:
    """Return a batch's YAML text with ``disable_batch`` set; where it has none the line follows that of the name.

    Raises SettingsError where no change of one line does it.
    """
    return set_text(text, where, (KEY, str(disabled).lower()))


def write_switch(path: Path, *, disabled: bool) -> bool:
    """Set ``disable_batch`` in a batch's file, at once or not at all; return whether the file changed.

    Raises SettingsError where no change of one line does it, OSError where the file cannot be written.
    """
    return write_setting(path, KEY, str(disabled).lower())


def read_summary(text: str) -> str:
    r"""Return the comment that a batch's YAML begins with, as one line; a line for editors is none of it.

    >>> read_summary("# yaml-language-server: $schema=x\n# Orders\n# by hour.\nmetric_batch: a\n# db\n")
    'Orders by hour.'
    """
    words: list[str] = []
    for line in text.removeprefix("\ufeff").splitlines():
        comment = line.strip()
        if not comment.startswith("#"):
            break
        if not comment.startswith("# yaml-language-server"):
            words.append(comment.lstrip("#").strip())
    return " ".join(word for word in words if word)
