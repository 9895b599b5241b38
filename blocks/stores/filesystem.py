"""Model objects in any filesystem block of Prefect: a bucket, a share, a folder."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.filesystems import LocalFileSystem
from prefect.utilities.asyncutils import run_coro_as_sync

from anomflow.errors import MissingModelError, ModelError
from blocks.stores.local import check_name, drop_draft, find_names, name_draft, sync_folder

if TYPE_CHECKING:
    from prefect.filesystems import WritableFileSystem

# How the object stores say that there is no such object: names of exceptions and codes, since their packages may be absent.
_MISSING_ERRORS = ("FileNotFoundError", "NoSuchKey", "NotFound", "ResourceNotFoundError", "BlobNotFound")
_MISSING_CODES = ("404", "NoSuchKey", "NotFound")


class FilesystemModelStore:
    """Adapt a filesystem block of Prefect as a ModelStore below a folder of it.

    Object stores write an object whole or not at all; in a ``LocalFileSystem`` it is written aside and renamed. Reading and
    writing work with every block; listing and deleting only where the block is a ``LocalFileSystem``, for Prefect's
    interface has neither.
    """

    def __init__(self, filesystem: WritableFileSystem, folder: str = "models") -> None:
        self.filesystem = filesystem
        self.folder = check_name(folder)

    @property
    def location(self) -> str:
        """Name the kind of block and the place in it."""
        block: Any = self.filesystem
        place = getattr(block, "bucket_name", None) or getattr(block, "bucket", None) or getattr(block, "basepath", None)
        return f"{block.get_block_type_slug()}:{place or ''}/{self.folder}"

    def write(self, name: str, content: bytes) -> None:
        target = f"{self.folder}/{check_name(name)}"
        try:
            if isinstance(self.filesystem, LocalFileSystem):
                self._write_local(self.filesystem, target, content)
            else:
                _finish(self.filesystem.write_path(target, content))
        except Exception as error:
            raise ModelError(f"{self.location}: model object {name} was not stored: {error}") from error

    def read(self, name: str) -> bytes:
        try:
            content: Any = _finish(self.filesystem.read_path(f"{self.folder}/{check_name(name)}"))
        except ModelError:
            raise
        except Exception as error:
            if is_missing(error):
                raise MissingModelError(f"{self.location} has no model object {name}") from error
            raise ModelError(f"{self.location}: model object {name} cannot be read: {error}") from error
        return bytes(content)

    def names(self) -> list[str]:
        return find_names(self._root("listed"))

    def delete(self, name: str) -> None:
        with contextlib.suppress(NotADirectoryError):
            (self._root("deleted") / check_name(name)).unlink(missing_ok=True)

    def _root(self, verb: str) -> Path:
        if not isinstance(self.filesystem, LocalFileSystem):
            kind = type(self.filesystem).__name__
            raise ModelError(
                f"{self.location}: objects of a {kind} cannot be {verb} through Prefect; set a rule of the store's own for their life"
            )
        return Path(self.filesystem.basepath or ".").expanduser().resolve() / self.folder

    def _write_local(self, filesystem: LocalFileSystem, target: str, content: bytes) -> None:
        base = Path(filesystem.basepath or ".").expanduser().resolve()
        draft = name_draft(target)
        try:
            filesystem.write_path(draft, content)
            (base / draft).replace(base / target)
            sync_folder((base / target).parent)
        finally:
            drop_draft(base / draft)


def _finish(result: Any) -> Any:
    """Wait for what an asynchronous block returned; Prefect's interface allows both."""
    return run_coro_as_sync(result) if inspect.iscoroutine(result) else result


def is_missing(error: Exception) -> bool:
    """Tell whether a filesystem block's error says that the object does not exist."""
    response: Any = getattr(error, "response", None)
    code = str(response.get("Error", {}).get("Code")) if isinstance(response, dict) else str(getattr(error, "code", ""))
    named = any(kind.__name__ in _MISSING_ERRORS for kind in type(error).__mro__)
    # LocalFileSystem has only words for it.
    worded = isinstance(error, ValueError) and str(error).endswith(("does not exist.", "is not a file."))
    return named or worded or code in _MISSING_CODES
