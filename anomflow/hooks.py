"""Run a user's ``ingest`` function in a process of its own, with a time limit; only rows come back.

What happens in that process stands in ``anomflow.hook_process``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import IngestError

if TYPE_CHECKING:
    import polars as pl

    from anomflow.batches import Batch

REQUEST_FILE: Final = "request.json"
ROWS_FILE: Final = "rows.arrow"
ERROR_FILE: Final = "error.txt"
SIGNAL_CODES: Final = 128  # an exit code above this stands for the signal that ended the function, as in a shell


@dataclass(frozen=True)
class Hook:
    """A Python function of a batch: its source, the file and line where that source begins, what it is called with.

    ``folder`` is where modules beside the source are imported from, None for source that stands in a YAML.
    ``arguments`` are given by name; they are texts, numbers, booleans, nulls, lists and mappings with texts as keys.
    A trial loads the function and does not call it; it has no rows.
    """

    source: str
    filename: str
    line: int
    folder: str | None = None
    function: str = "ingest"
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_trial: bool = False

    @property
    def place(self) -> str:
        """Return the file and line where the source begins."""
        return f"{self.filename}:{self.line}"


def build_hook(batch: Batch, key: str = "ingest_fn", *, is_trial: bool = False) -> Hook:
    """Build the hook of a batch that has a function under a key; raises OSError, UnicodeDecodeError for the file of its source."""
    source = batch.find_source(key)
    assert source is not None  # noqa: S101 - the caller looked
    folder = source.path.parent.as_posix() if source.path else None
    arguments = batch.spec.ingest.ingest_fn_args if key == "ingest_fn" else {}
    return Hook(source.text, source.where, source.line, folder, key.removesuffix("_fn"), arguments, is_trial)


def run_ingest(hook: Hook, seconds: float) -> pl.DataFrame:
    """Return the rows of ``ingest(...)`` as polars; raises IngestError with its file and line, or after ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="anomflow-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / REQUEST_FILE).write_text(json.dumps(asdict(hook)), encoding="utf-8")
        return _read_result(folder, _run_process(folder, seconds, hook), hook)


def _run_process(folder: Path, seconds: float, hook: Hook) -> int:
    """Run the process and return its exit code; its standard input stays open as long as this process lives."""
    command = [sys.executable, "-m", "anomflow.hook_process", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=environment) as process:  # noqa: S603 - our own module
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise IngestError(
                f"{hook.place}: {hook.function}() did not return within {seconds:g} s (ingest_timeout); it was stopped"
            ) from None
        finally:
            _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started, which may outlive it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read_result(folder: Path, code: int, hook: Hook) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 - the process starts faster without it

    error = folder / ERROR_FILE
    if error.exists():
        raise IngestError(error.read_text(encoding="utf-8"))
    rows = folder / ROWS_FILE
    if code != 0 or not rows.exists():
        raise IngestError(f"{hook.place}: the process of {hook.function}() {_describe_end(code)} and returned nothing")
    return pl.read_ipc(rows.read_bytes())


def _describe_end(code: int) -> str:
    number = code - SIGNAL_CODES if code > SIGNAL_CODES else -code
    with suppress(ValueError):
        return f"was ended by {signal.Signals(number).name}"
    return f"ended with code {code}"
