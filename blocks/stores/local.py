"""Model objects in a local folder."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from pathlib import Path
from typing import ClassVar, Final, Self

from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr

from anomflow.errors import MissingModelError, ModelError
from blocks.home import find_home

_PART: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_NAME = re.compile(rf"{_PART}(?:/{_PART}){{0,9}}")


def check_name(name: str) -> str:
    """Return an object's name if it stays inside its store: parts of letters, digits, ``_ - .``, separated by ``/``.

    Raises:
        ModelError: it may not.
    """
    if not is_name(name):
        raise ModelError(f"{name!r} cannot name a model object; use letters, digits, '_', '-', '.' and '/', no part beginning with '.'")
    return name


def is_name(name: str) -> bool:
    """Tell whether an object may have a name."""
    return _NAME.fullmatch(name) is not None


def name_draft(name: str) -> str:
    """Return a name beside an object's under which nobody lists or reads it."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}.{last}.{uuid.uuid4().hex}.new"


def find_names(folder: Path) -> list[str]:
    """List the names of the objects below a folder, sorted, drafts left out; none where there is no folder."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if is_name(path.as_posix()))


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_draft(draft: Path) -> None:
    """Remove what a failed write left; after a rename, or where its folder could not even be made, there is nothing."""
    with contextlib.suppress(OSError):
        draft.unlink()


class LocalModelStore(Block):
    """Keep model objects as files in a folder of this machine.

    An object is written aside, synced and renamed, so it is there whole or not at all.
    """

    _block_type_name = "Anomflow Local Model Store"
    _block_type_slug = "anomflow-local-model-store"
    _description = "Keeps the models of Anomflow in a local folder."
    _code_example = """
    ```python
    from blocks.stores.local import LocalModelStore

    print(LocalModelStore.load("BLOCK_NAME").names())
    ```
    """

    kind: ClassVar[str] = "local"

    folder: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the objects, made when needed. Without one it is the folder models in ANOMFLOW_HOME.",
    )
    _home: Path | None = PrivateAttr(default=None)

    def at_home(self, home: Path) -> Self:
        """Return this store with another ANOMFLOW_HOME for the case that it has no folder."""
        placed = self.model_copy()
        placed._home = home  # noqa: SLF001 - a copy of ourselves
        return placed

    @property
    def root(self) -> Path:
        """Return the folder."""
        return Path(self.folder).expanduser() if self.folder is not None else (self._home or find_home()) / "models"

    @property
    def location(self) -> str:
        return f"{self.kind}:{self.root}"

    def write(self, name: str, content: bytes) -> None:
        target = self.root / check_name(name)
        draft = self.root / name_draft(name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("xb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            draft.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            raise ModelError(
                f"{self.location}: model object {name} was not stored: {error.strerror}; free or allow the space and run again"
            ) from error
        finally:
            drop_draft(draft)

    def read(self, name: str) -> bytes:
        try:
            return (self.root / check_name(name)).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise MissingModelError(f"{self.location} has no model object {name}") from error
        except OSError as error:
            raise ModelError(f"{self.location}: model object {name} cannot be read: {error.strerror}") from error

    def names(self, folder: str = "") -> list[str]:
        if not folder:
            return find_names(self.root)
        return [f"{folder}/{name}" for name in find_names(self.root / check_name(folder))]

    # Hides Block.delete, which removes a saved block by name: that is `prefect block delete` here.
    def delete(self, name: str) -> None:  # type: ignore[override]
        try:
            (self.root / check_name(name)).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise ModelError(f"{self.location}: model object {name} cannot be deleted: {error.strerror}") from error
