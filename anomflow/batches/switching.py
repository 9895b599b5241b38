"""Switch a batch on or off in its own file, by a change of one line; all else of the file stays as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from anomflow.batches.documents import parse_document
from anomflow.errors import Problem, SettingsError
from anomflow.files import write_file

KEY: Final = "disable_batch"
_SETTING: Final = re.compile(rf"""^(?P<key>(["']?){KEY}\2\s*:\s*)(?P<value>[^\s#]*)(?P<rest>.*)$""", re.DOTALL)
_NAME: Final = re.compile(r"""^(["']?)metric_batch\1\s*:""")


def switch_text(text: str, where: str, *, disabled: bool) -> str:
    """Return a batch's YAML text with ``disable_batch`` set; where it has none the line follows that of the name.

    Raises SettingsError where no change of one line does it.
    """
    lines = text.splitlines(keepends=True)
    value = str(disabled).lower()
    changed = _replace(lines, value) or _insert(lines, value)
    if changed is None or not _differs_only_by_the_switch(text, changed, where, disabled=disabled):
        line = parse_document(text, where).layer.origin((KEY,)).line or 1
        message = f"{KEY} cannot be changed in a line of its own here; write `{KEY}: {value}` yourself"
        raise SettingsError([Problem(where, line, message, KEY)])
    return changed


def _replace(lines: list[str], value: str) -> str | None:
    found = [number for number, line in enumerate(lines) if _SETTING.match(line)]
    if len(found) != 1:
        return None
    line = _SETTING.sub(lambda match: f"{match['key']}{value}{match['rest']}", lines[found[0]])
    return "".join([*lines[: found[0]], line, *lines[found[0] + 1 :]])


def _insert(lines: list[str], value: str) -> str | None:
    number = next((number for number, line in enumerate(lines) if _NAME.match(line)), None)
    if number is None or any(_SETTING.match(line) for line in lines):
        return None
    end = "\r\n" if lines[number].endswith("\r\n") else "\n"
    name = lines[number] if lines[number].endswith("\n") else lines[number] + end
    return "".join([*lines[:number], name, f"{KEY}: {value}{end}", *lines[number + 1 :]])


def _differs_only_by_the_switch(text: str, changed: str, where: str, *, disabled: bool) -> bool:
    before, after = parse_document(text, where), parse_document(changed, where)
    expected = {**before.layer.values, KEY: disabled}
    return after.readable and not after.problems and after.layer.values == expected


def write_switch(path: Path, *, disabled: bool) -> bool:
    """Set ``disable_batch`` in a batch's file, at once or not at all; return whether the file changed.

    Raises SettingsError where no change of one line does it, OSError where the file cannot be written.
    """
    text = path.read_bytes().decode("utf-8")
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    changed = switch_text(body, path.as_posix(), disabled=disabled)
    if changed == body:
        return False
    write_file(path.resolve(), (mark + changed).encode("utf-8"))
    return True


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
