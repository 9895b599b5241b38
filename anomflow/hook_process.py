"""The process that runs a user's ``ingest`` function: ``python -m anomflow.hook_process FOLDER``.

It reads what to run from the folder and leaves an Arrow file, or a text about what went wrong, there. The function runs
in a fork, so that this process can watch over it: when the run that asked for the rows is gone, even by SIGKILL, its end
of our standard input closes, and the function ends with all that it started.
"""

from __future__ import annotations

import ctypes
import inspect
import json
import linecache
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn

from anomflow.errors import IngestError
from anomflow.hooks import ERROR_FILE, REQUEST_FILE, ROWS_FILE, SIGNAL_CODES, Hook
from anomflow.masking import mask_secrets

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_LONGEST_ERROR: Final = 2000  # characters; an exception may quote all of its data


def load_function(hook: Hook) -> Callable[..., Any]:
    """Compile a hook as a module under its file's name and line and return its function; raises IngestError without one."""
    module = ModuleType("ingest_hook")
    module.__file__ = hook.filename
    padded = "\n" * (hook.line - 1) + hook.source
    linecache.cache[hook.filename] = (len(padded), None, padded.splitlines(keepends=True), hook.filename)
    sys.modules[module.__name__] = module
    if hook.folder is not None:
        sys.path.insert(0, hook.folder)
    exec(compile(padded, hook.filename, "exec"), module.__dict__)  # noqa: S102 - the team's own code, in its own process
    function = getattr(module, hook.function, None)
    if not callable(function):
        defined = sorted(name for name, value in vars(module).items() if callable(value) and not name.startswith("_"))
        raise IngestError(f"defines no function {hook.function!r}; it defines {defined}")
    if hook.function == "ingest":  # others are called with the rows by position
        _check_arguments(function, hook)
    return function  # type: ignore[no-any-return]  # callable() says so


def _check_arguments(function: Callable[..., Any], hook: Hook) -> None:
    """Raise IngestError where a function cannot be called with the arguments, before it is; one without a signature is tried."""
    with suppress(ValueError):
        signature = inspect.signature(function)
        try:
            signature.bind(**hook.arguments)
        except TypeError as error:
            given = ", ".join(hook.arguments) or "nothing"
            raise IngestError(f"{hook.function}{signature}: {error}; ingest_fn_args gives {given}") from error


def write_rows(hook: Hook, folder: Path) -> None:
    """Run a hook and leave its rows, or what went wrong with its file and line, in a folder; never raises."""
    from anomflow.conform import as_polars  # noqa: PLC0415 - imported after the fork, since polars starts threads

    try:
        function = load_function(hook)
        as_polars([] if hook.is_trial else function(**hook.arguments)).write_ipc(folder / ROWS_FILE)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is reported, SystemExit too
        text = mask_secrets(_describe(error, hook), os.environ)
        (folder / ERROR_FILE).write_text(_shorten(text), encoding="utf-8", errors="backslashreplace")


def _describe(error: BaseException, hook: Hook) -> str:
    place = f"{hook.filename}:{_find_line(error, hook)}"
    if isinstance(error, IngestError):
        return f"{place}: {error}"
    return f"{place}: {hook.function}() raised {type(error).__name__}: {error}"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}... ({len(text)} characters)"


def _find_line(error: BaseException, hook: Hook) -> int:
    """Return the innermost line of the user's file: what it calls may raise far away, in a library."""
    lines = [place.lineno for place in traceback.extract_tb(error.__traceback__) if place.filename == hook.filename]
    if isinstance(error, SyntaxError) and error.filename == hook.filename:
        lines.append(error.lineno)
    return next((line for line in reversed(lines) if line is not None), hook.line)


def _run_and_exit(hook: Hook, folder: Path) -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    write_rows(hook, folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _watch_run(folder: Path) -> None:
    """End this process, its fork and all that they started when the run is gone."""

    def end(*_: object) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    def wait_for_end() -> None:
        while os.read(0, 1):
            pass
        end()

    signal.signal(signal.SIGTERM, end)
    # Another process that the run forked may hold our standard input open; Linux tells of the run's end by a signal too.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=wait_for_end, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Run the hook of a folder in a fork; return its exit code, or ``SIGNAL_CODES`` and the signal that ended it."""
    folder = Path(arguments[0])
    hook = Hook(**json.loads((folder / REQUEST_FILE).read_text(encoding="utf-8")))
    worker = os.fork()
    if worker == 0:
        _run_and_exit(hook, folder)
    _watch_run(folder)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    return code if code >= 0 else SIGNAL_CODES - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
