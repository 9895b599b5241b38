"""Run a user's ``ingest`` function in a process of its own, with a time limit; only rows come back.

The child (``python -m anomflow.hooks``) reads what to run as JSON from its standard input and writes an Arrow file.
"""

from __future__ import annotations

import json
import linecache
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from anomflow.errors import IngestError

if TYPE_CHECKING:
    import polars as pl

ROWS_FILE = "rows.arrow"
ERROR_FILE = "error.txt"


@dataclass(frozen=True)
class Hook:
    """A Python function of a batch: its source, the file and line where that source begins, the function's name.

    ``folder`` is where modules beside the source are imported from, None for source that stands in a YAML.
    """

    source: str
    filename: str
    line: int
    folder: str | None = None
    function: str = "ingest"


def load_function(hook: Hook) -> Any:
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
        raise IngestError(f"{hook.filename}:{hook.line}: defines no function {hook.function!r}; it defines {defined}")
    return function


def run_ingest(hook: Hook, seconds: float) -> pl.DataFrame:
    """Return the rows of ``ingest()`` as polars; raises IngestError with the traceback, or after ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="anomflow-") as folder:
        code = _run_child(json.dumps({"hook": asdict(hook), "folder": folder}), seconds, hook)
        return _read_result(Path(folder), code, hook)


def _run_child(request: str, seconds: float, hook: Hook) -> int:
    command = [sys.executable, "-m", "anomflow.hooks"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True, env=environment) as child:  # noqa: S603
        try:
            child.communicate(request, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise IngestError(
                f"{hook.filename}:{hook.line}: {hook.function}() did not return within {seconds:g} s (ingest_timeout); it was stopped",
            ) from None
        finally:
            _kill_group(child)
        return child.returncode


def _kill_group(child: subprocess.Popen[str]) -> None:
    """End the child and all that it started, which may outlive it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _read_result(folder: Path, code: int, hook: Hook) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - the child writes without it when it fails early

    error = folder / ERROR_FILE
    if error.exists():
        raise IngestError(error.read_text(encoding="utf-8"))
    rows = folder / ROWS_FILE
    if code != 0 or not rows.exists():
        raise IngestError(f"{hook.filename}:{hook.line}: the process of {hook.function}() ended with code {code} and returned nothing")
    return pl.read_ipc(rows.read_bytes())


def _run_here(hook: Hook, folder: Path) -> None:
    from anomflow.conform import as_polars  # noqa: PLC0415 - imported late so that a broken hook fails with its own error first

    rows = as_polars(load_function(hook)())
    rows.write_ipc(folder / ROWS_FILE)


def _find_line(error: BaseException, hook: Hook) -> int:
    """Return the innermost line of the user's file: what it calls may raise far away, in a library."""
    lines = [place.lineno for place in traceback.extract_tb(error.__traceback__) if place.filename == hook.filename]
    if isinstance(error, SyntaxError) and error.filename == hook.filename:
        lines.append(error.lineno)
    return next((line for line in reversed(lines) if line is not None), hook.line)


def main() -> int:
    """Run the hook that standard input names and leave its rows, or its error, in the folder given."""
    request = json.loads(sys.stdin.read())
    hook, folder = Hook(**request["hook"]), Path(request["folder"])
    try:
        _run_here(hook, folder)
    except IngestError as error:
        (folder / ERROR_FILE).write_text(str(error), encoding="utf-8")
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is reported, SystemExit too
        text = f"{hook.filename}:{_find_line(error, hook)}: {hook.function}() raised {type(error).__name__}: {error}"
        (folder / ERROR_FILE).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
