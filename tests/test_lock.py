"""The lock pins what pyproject.toml asks for, by content and not by place."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENTRIES = tuple(entry.strip() for entry in re.split(r"\n(?=\S)", LOCK) if entry.strip())
ASKED = list(dict.fromkeys([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"], *PROJECT["optional-dependencies"]["demo"]]))


def read_pins() -> dict[str, Version]:
    """Return the version of each package that the lock installs on this Python."""
    pins = (Requirement(re.split(r"\s*\\\n", entry)[0]) for entry in ENTRIES)
    return {canonicalize_name(pin.name): Version(next(iter(pin.specifier)).version) for pin in pins if holds(pin)}


def holds(requirement: Requirement, extras: frozenset[str] = frozenset()) -> bool:
    """Tell whether a requirement counts on this Python for one of these extras."""
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""})


def find_needs(asked: list[str]) -> list[tuple[str, Requirement]]:
    """Follow requirements through the installed packages and their extras; return who asks, and for what."""
    found = [("pyproject.toml", Requirement(text)) for text in asked]
    waiting = [need for _, need in found]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        need = waiting.pop()
        asker = (canonicalize_name(need.name), frozenset(need.extras))
        texts = [] if asker in seen else metadata.requires(need.name) or []
        seen.add(asker)
        children = [child for text in texts if holds(child := Requirement(text), asker[1])]
        found += [(need.name, child) for child in children]
        waiting += children
    return found


@pytest.mark.parametrize("text", ASKED)
def test_a_requirement_is_pinned_to_a_version_that_it_allows(text: str) -> None:
    need = Requirement(text)
    assert need.specifier.contains(read_pins()[canonicalize_name(need.name)], prereleases=True)


def test_the_pins_satisfy_each_other_and_their_extras() -> None:
    pins = read_pins()
    needs = find_needs(ASKED)
    unmet = [
        f"{asker} needs {need}, the lock has {pin}"
        for asker, need in needs
        if (pin := pins.get(canonicalize_name(need.name))) is None or not need.specifier.contains(pin, prereleases=True)
    ]
    assert len(needs) > len(ASKED)
    assert unmet == []


def test_every_entry_is_pinned_and_has_hashes() -> None:
    loose = [entry for entry in ENTRIES if not re.match(r"[\w.-]+==[^\s\\]+( ; [^\\]+)?( \\\n +--hash=sha256:[0-9a-f]{64})+$", entry)]
    assert loose == []


def test_the_lock_names_no_place() -> None:
    assert re.findall(r"://|(?m:^)-|--(?!hash=)\w[\w-]*", LOCK) == []
