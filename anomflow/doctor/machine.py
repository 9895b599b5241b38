"""What a run needs of the machine that it starts on: compiled kernels, the functions of its batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from anomflow.doctor.checks import Finding
from anomflow.errors import Problem, SettingsError
from anomflow.hooks import build_hook, run_ingest

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.doctor.checks import Check, Runner

_FUNCTIONS: Final = ("ingest_fn", "preprocess_fn")


def check_kernels(runner: Runner) -> Check:
    """Look whether the kernels are compiled; those that are not are compiled by the look."""
    return runner.run("kernels", _try_kernels)


def _try_kernels() -> Finding:
    from anomflow.detectors.compile import compile_kernels  # noqa: PLC0415 - numba takes a second, which is part of what is measured

    compiled = compile_kernels()
    if compiled:
        words = f"{compiled} kernels had to be compiled, which would have held a run up; they are kept now"
        return Finding(f"{words}. In an image do it at build: python -m anomflow.detectors.compile", "warning")
    return Finding("the kernels are compiled")


def check_functions(batch: Batch, runner: Runner) -> Iterator[Check]:
    """Look whether the Python functions of a batch can be imported, each in a process of its own; none is called."""
    for key in _FUNCTIONS:
        if batch.value(key) is not None:
            yield runner.run(key, lambda key=key: _try_function(batch, key, runner.seconds))  # type: ignore[misc]


def _try_function(batch: Batch, key: str, seconds: float) -> str:
    try:
        hook = build_hook(batch, key, is_trial=True)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([Problem(batch.path.as_posix(), batch.origins[key].line, f"{key}: {error}", key)]) from error
    run_ingest(hook, seconds)
    return f"{hook.function}() of {hook.place} can be imported"
