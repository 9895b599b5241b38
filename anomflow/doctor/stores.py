"""May models be published, read, listed and deleted in a model store?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from anomflow.doctor.checks import Finding
from anomflow.errors import ModelError
from anomflow.wording import render_count

if TYPE_CHECKING:
    from anomflow.doctor.checks import Check, Runner
    from anomflow.protocols import ModelStore

_CONTENT: Final = b"Made by `anomflow doctor` to see whether models can be kept here; it may be deleted.\n"
_NAME: Final = "anomflow-doctor"
_OLD_VERSIONS: Final = "old versions stay until a rule of the store's own (life cycle) removes them"


def check_store(store: Callable[[], ModelStore], runner: Runner) -> Iterator[Check]:
    """Look at a model store by a scratch object; one that cannot be deleted has a fixed name, so that there is one at most."""
    connected = runner.run("connect", lambda: store().location)
    yield connected
    if connected.state == "failed":
        return
    listed = runner.run("list", lambda: _list(store()))
    scratch = _Scratch(store, f"{_NAME}-{uuid4().hex[:12]}" if listed.state == "ok" else _NAME)
    published = runner.run("publish", scratch.write)
    yield published
    if published.state == "ok":
        yield runner.run("read", scratch.read)
    yield listed
    # What was published late or unclearly may be there as well; of a right it tells nothing where there may be no object.
    deleted = runner.run("delete", scratch.delete)
    if published.state == "ok":
        yield deleted


def _list(store: ModelStore) -> Finding:
    try:
        return Finding(render_count(len(store.names()), "object"))
    except ModelError as error:
        return Finding(f"{error}; {_OLD_VERSIONS}", "warning")


@dataclass(frozen=True)
class _Scratch:
    """An object that exists for a few checks."""

    store: Callable[[], ModelStore]
    name: str

    def write(self) -> str:
        self.store().write(self.name, _CONTENT)
        return "may publish models"

    def read(self) -> str:
        content = self.store().read(self.name)
        if content != _CONTENT:
            raise ModelError(f"{len(_CONTENT)} bytes were published and {len(content)} others read back; look for what stands between")
        return "reads back what was published"

    def delete(self) -> Finding:
        try:
            self.store().delete(self.name)
        except ModelError as error:
            return Finding(f"{error}; the object {self.name} stays, and {_OLD_VERSIONS}", "warning")
        return Finding("may delete old versions")
