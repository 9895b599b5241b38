"""Databases that are one file: where it lies, what may be wrong with it, how it comes to be."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import ClassVar, Self

from pydantic import ConfigDict, Field, PrivateAttr, field_validator

from anomflow.errors import WarehouseError
from blocks.home import find_home
from blocks.warehouses.block import RelationalWarehouse
from blocks.warehouses.locking import Wait, hold_lock

_FULL = ("No space left", "File too large", "disk is full", "Disk quota", "disk full", "disk I/O error")


class FileWarehouse(RelationalWarehouse):
    """Be the base of engines whose database is one file."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a path may be an address with a token

    file_name: ClassVar[str]
    magic: ClassVar[bytes]
    magic_offset: ClassVar[int] = 0

    path: str | None = Field(
        default=None,
        min_length=1,
        description="Database file; its folder must exist. Without one the file lies in ANOMFLOW_HOME and is made with its folder.",
    )
    lock_timeout_seconds: float = Field(
        default=60.0, ge=0, le=3600, description="Seconds to wait while another process has the file locked, from 0 to 3600."
    )
    _home: Path | None = PrivateAttr(default=None)

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        if path is not None and path.startswith(("md:", "motherduck:")):
            raise ValueError("is a database of MotherDuck, not the path of a file; name the warehouse motherduck instead")
        if path is not None and (path.startswith((":memory:", "file:")) or "://" in path or "\0" in path):
            raise ValueError(f"{path!r} is not the path of a file; a database in memory would lose everything at the end of each session")
        return path

    def at_home(self, home: Path) -> Self:
        """Return this warehouse with another ANOMFLOW_HOME for the file that has no path."""
        placed = self.model_copy()
        placed._home = home  # noqa: SLF001 - a copy of ourselves
        return placed

    @property
    def file(self) -> Path:
        """Return where the database lies."""
        return Path(self.path).expanduser() if self.path is not None else (self._home or find_home()) / self.file_name

    @property
    def location(self) -> str:
        return f"{self.kind}:{self.file}"

    def _make_empty(self, file: Path) -> None:
        """Make an empty database in a file that does not exist."""
        raise NotImplementedError

    def _prepare_file(self, *, writable: bool) -> Path:
        file = self.file
        if self.path is None:
            self._make_folder(file.parent)
        if not file.parent.is_dir():
            raise WarehouseError(f"{self.location}: the folder {file.parent} does not exist; make it or correct the path")
        if not file.exists():
            self._create(file)
        self._check_kind(file)
        if writable and not (may_write(file) and may_write(file.parent)):
            raise WarehouseError(f"{self.location} is read-only: this user may not write to the file and its folder; nothing was written")
        return file

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(f"{self.location}: the folder {folder} cannot be made: {error.strerror}; set ANOMFLOW_HOME") from error

    def _create(self, file: Path) -> None:
        # Made aside and renamed whole, so that no crash or full disk leaves a half-made database behind.
        draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}.new")
        try:
            with hold_lock(file, exclusive=True, wait=Wait(self.location, self.lock_timeout_seconds)):
                if not file.exists():  # else another process was faster
                    self._make_empty(draft)
                    draft.rename(file)
        except OSError as error:
            raise WarehouseError(f"{self.location} cannot be made: {error.strerror}") from error
        finally:
            for left in file.parent.glob(f"{draft.name}*"):
                left.unlink(missing_ok=True)

    def _check_kind(self, file: Path) -> None:
        try:
            with file.open("rb") as opened:
                head = opened.read(64)
        except OSError as error:
            raise WarehouseError(f"{self.location} cannot be read: {error.strerror}") from error
        if not self._is_ours(head):
            raise WarehouseError(
                f"{self.location} is not a {self.kind} database ({describe_head(head)}); correct the path or move the file away"
            )

    def _is_ours(self, head: bytes) -> bool:
        return head[self.magic_offset :].startswith(self.magic)


def may_write(path: Path) -> bool:
    """Tell whether this process, as the user that it acts for, may write to a file or folder."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def describe_head(head: bytes) -> str:
    """Say in words what a file begins with."""
    if not head:
        return "it is empty"
    if head.startswith(b"SQLite format 3\0"):
        return "it is a SQLite database"
    if head[8:12] == b"DUCK":
        return "it is a DuckDB database"
    return f"it begins with {head[:16]!r}"


def describe_refusal(location: str, words: str) -> str:
    """Say what an engine's words mean where it matters: a full disk, else the words."""
    if any(sign in words for sign in _FULL):
        return f"{location}: the disk is full, faulty or over a limit, so this session was undone; free space and run again ({words})"
    if "readonly database" in words or "Permission denied" in words or "Read-only file system" in words:
        return f"{location} is read-only, so this session was undone ({words})"
    return f"{location} refused a statement: {words}"
