"""Make a Prefect task of an effect inside a flow run, and a plain call of it anywhere else.

The stages are the same code in a worker, in one process of the command line, and in a test without Prefect.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_logger, get_run_logger

from anomflow.errors import Transient

RETRIES: Final = 3  # of an effect on a warehouse or a store
WAITS: Final = (2.0, 10.0, 30.0)  # seconds before each of them

P = ParamSpec("P")
R = TypeVar("R")


class _Call:
    """A call with its arguments, opaque to Prefect, which would walk every frame and setting in search of futures."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function


def is_transient(_task: object, _run: object, state: Any) -> bool:
    """Tell whether a failed task may be tried again: only our Transient errors are."""
    try:
        state.result()
    except Transient:
        return True
    except BaseException:  # noqa: BLE001 - whatever else it is, it is not transient
        return False
    return False


def effect(name: str, *, retries: int = 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate an effect: a task with this name and retry policy in a flow run, part of the task inside one, else the plain function."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @task(
            name=name,
            cache_policy=NO_CACHE,
            retries=retries,
            retry_delay_seconds=list(WAITS[:retries]) or None,
            retry_jitter_factor=0.3 if retries else None,
            retry_condition_fn=is_transient,
        )
        def run_call(call: _Call) -> Any:
            return call.function()

        @functools.wraps(function)
        def call_or_task(*args: P.args, **kwargs: P.kwargs) -> R:
            if FlowRunContext.get() is None:
                return function(*args, **kwargs)
            if TaskRunContext.get() is not None:
                return _call_again(functools.partial(function, *args, **kwargs), WAITS[:retries])
            # The task runs here and now, since the function is no coroutine.
            return cast("R", run_call(_Call(functools.partial(function, *args, **kwargs))))

        return call_or_task

    return decorate


def _call_again(call: Callable[[], R], waits: Sequence[float]) -> R:
    """Call an effect inside a task, which is one task however many slices it works in, with the effect's own retries."""
    for wait in waits:
        try:
            return call()
        except Transient:
            time.sleep(wait)
    return call()


def log_line(text: str) -> None:
    """Log one line, to the flow run where there is one."""
    logger = get_run_logger() if FlowRunContext.get() is not None else get_logger("anomflow")
    logger.info(text)
