"""Change one setting in a batch's own file by a change of one line; all else of the file stays as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from anomflow.batches.documents import parse_document
from anomflow.errors import Problem, SettingsError
from anomflow.files import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAME: Final = re.compile(r"""^(["']?)metric_batch\1\s*:""")


def set_text(text: str, where: str, setting: tuple[str, str]) -> str:
    """Return a batch's YAML text with a key set to a value (YAML, on one line); a new line follows that of the name.

    Raises SettingsError where no change of one line does it.
    """
    key, value = setting
    lines = text.splitlines(keepends=True)
    found = [number for number, line in enumerate(lines) if _build_pattern(key).match(line)]
    changed = _replace(lines, found[0], setting) if len(found) == 1 else None if found else _insert(lines, setting)
    if changed is None or not _differs_only_there(text, changed, where, setting):
        line = parse_document(text, where).layer.origin((key,)).line or 1
        message = f"{key} cannot be changed in a line of its own here; write `{key}: {value}` yourself"
        raise SettingsError([Problem(where, line, message, key)])
    return changed


def _build_pattern(key: str) -> re.Pattern[str]:
    return re.compile(rf"""^(?P<key>(["']?){re.escape(key)}\2\s*:\s*)(?P<value>[^\s#]*)(?P<rest>.*)$""", re.DOTALL)


def _replace(lines: Sequence[str], number: int, setting: tuple[str, str]) -> str:
    key, value = setting
    line = _build_pattern(key).sub(lambda match: f"{match['key']}{value}{match['rest']}", lines[number])
    return "".join([*lines[:number], line, *lines[number + 1 :]])


def _insert(lines: Sequence[str], setting: tuple[str, str]) -> str | None:
    number = next((number for number, line in enumerate(lines) if _NAME.match(line)), None)
    if number is None:
        return None
    end = "\r\n" if lines[number].endswith("\r\n") else "\n"
    name = lines[number] if lines[number].endswith("\n") else lines[number] + end
    return "".join([*lines[:number], name, f"{setting[0]}: {setting[1]}{end}", *lines[number + 1 :]])


def _differs_only_there(text: str, changed: str, where: str, setting: tuple[str, str]) -> bool:
    before, after = parse_document(text, where), parse_document(changed, where)
    expected = {**before.layer.values, setting[0]: parse_document(f"{setting[0]}: {setting[1]}\n", where).layer.values[setting[0]]}
    return after.readable and not after.problems and after.layer.values == expected


def write_setting(path: Path, key: str, value: str) -> bool:
    """Set a key in a batch's file, at once or not at all; return whether the file changed.

    Raises SettingsError where no change of one line does it, OSError where the file cannot be written.
    """
    text = path.read_bytes().decode("utf-8")
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(mark)
    changed = set_text(body, path.as_posix(), (key, value))
    if changed == body:
        return False
    write_file(path.resolve(), (mark + changed).encode("utf-8"))
    return True
