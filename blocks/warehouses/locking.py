"""Wait for files that one process at a time may write."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from anomflow.errors import WarehouseBusyError, WarehouseError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAUSE_SECONDS = (0.01, 0.05)
_here = threading.local()


class Wait:
    """Bound a wait in seconds; ``pause`` sleeps with jitter until the time is over."""

    def __init__(self, location: str, seconds: float) -> None:
        self.location = location
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def pause(self, holder: str) -> None:
        """Sleep a little.

        Raises:
            WarehouseBusyError: the time is over.
        """
        if time.monotonic() >= self._end:
            raise build_busy_error(self.location, self.seconds, holder)
        time.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - jitter, no secret


def build_busy_error(location: str, seconds: float, holder: str) -> WarehouseBusyError:
    """Say who holds a file and what to do."""
    return WarehouseBusyError(
        f"{location} is still locked by {holder} after {seconds:g} s; end that process (a shell or notebook that has the file open?) "
        "or set lock_timeout_seconds higher"
    )


@contextmanager
def hold_lock(file: Path, *, exclusive: bool, wait: Wait) -> Iterator[None]:
    """Hold the lock file beside ``file`` (``<file>.lock``), shared or alone, among processes and threads.

    Where the lock file cannot be made (a folder that cannot be written) a shared lock is left to the engine.

    Raises:
        WarehouseBusyError: others held it for all the time.
        WarehouseError: this thread itself holds it, or the lock file cannot be made.
    """
    path = file.with_name(f"{file.name}.lock")
    with _forbid_nesting(path.absolute(), wait.location, exclusive=exclusive):
        descriptor = _open_lock(path, exclusive=exclusive)
        if descriptor is None:
            yield
            return
        try:
            while not _try_lock(descriptor, exclusive=exclusive):
                wait.pause(describe_holders([path]))
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _forbid_nesting(path: Path, location: str, *, exclusive: bool) -> Iterator[None]:
    held: list[tuple[Path, bool]] = _here.__dict__.setdefault("held", [])
    if any(other == path and (exclusive or alone) for other, alone in held):
        raise WarehouseError(f"{location}: this thread has a session open already and would wait for itself; end that one first")
    held.append((path, exclusive))
    try:
        yield
    finally:
        held.remove((path, exclusive))


def _open_lock(path: Path, *, exclusive: bool) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if exclusive:
            raise WarehouseError(f"{path} cannot be made, so {path.parent} cannot be written to: {error.strerror}") from error
        return None


def _try_lock(descriptor: int, *, exclusive: bool) -> bool:
    # flock belongs to the open file, so it also holds off the other threads of this process.
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        return True
    return False


def describe_holders(files: list[Path]) -> str:
    """Name the processes that hold a lock on one of the files, as far as the system tells (Linux)."""
    pids = sorted(_find_holders(files))
    return ", ".join(describe_process(pid) for pid in pids) or "another process"


def describe_process(pid: int) -> str:
    """Return ``process 123 (python)``."""
    if pid == os.getpid():
        return f"this very process ({pid})"
    with contextlib.suppress(OSError):
        return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text(encoding='utf-8').strip()})"
    return f"process {pid}"


def _find_holders(files: list[Path]) -> set[int]:
    inodes = {str(file.stat().st_ino) for file in files if file.exists()}
    with contextlib.suppress(OSError):
        # "1: FLOCK  ADVISORY  WRITE 7544 fe:00:12345 0 EOF"; a waiting one has "->" behind its number.
        locks = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines() if "->" not in line]
        return {int(lock[4]) for lock in locks if lock[5].rpartition(":")[2] in inodes and int(lock[4]) > 0}
    return set()
