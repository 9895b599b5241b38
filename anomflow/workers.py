"""Where metrics are fitted and scored: in this process, in a pool of processes, on a Dask cluster. Only data crosses over."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from anomflow.errors import MissingDependencyError, RunError

if TYPE_CHECKING:
    from anomflow.sections.places import ModelSpec

R = TypeVar("R")

# Fewer rows are done here before another process has started.
LEAST_ROWS: Final = 50_000


class Workers(Protocol):
    """What maps a function of a module over arguments, of which every one can be pickled."""

    @property
    def count(self) -> int:
        """Return how many calls are made at a time."""
        ...

    def map(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> list[R]:
        """Return what the function returns for the arguments of each call, in their order."""
        ...


class ThisProcess:
    """Make the calls here, one after another."""

    count: Final = 1

    def map(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> list[R]:
        """Make the calls."""
        return [function(*call) for call in calls]


class ProcessPool:
    """Make the calls in processes of this machine, which start with the first of them and end with the context.

    They are spawned, since a fork would copy the locks of threads that it does not copy.
    """

    def __init__(self, count: int, stack: ExitStack) -> None:
        self.count = count
        self._stack = stack
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> list[R]:
        """Make the calls; raise RunError where a process ends meanwhile."""
        try:
            return list(self._start().map(function, *zip(*calls, strict=True)))
        except BrokenProcessPool as error:
            reason = "a process of the pool ended before it was done, as it does when memory runs out"
            raise RunError(f"{reason}; lower `processes`, or give the run more memory") from error

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = self._stack.enter_context(ProcessPoolExecutor(self.count, mp_context=context))
        return self._pool


class DaskCluster:
    """Make the calls on the workers of a Dask cluster; they need this project, and neither its settings nor its secrets."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def count(self) -> int:
        """Return how many calls the cluster makes at a time."""
        return max(1, int(sum(self._client.nthreads().values())))

    def map(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> list[R]:
        """Make the calls; raise RunError where the workers end meanwhile, as they do of what they cannot import."""
        from distributed import KilledWorker  # noqa: PLC0415 - an extra, which is there where there is a client

        # The same rows may come again in another run, and results of an earlier one must not be taken for theirs.
        futures = self._client.map(function, *zip(*calls, strict=True), pure=False)
        try:
            return list(self._client.gather(futures))
        except KilledWorker as error:
            reason = "workers of the Dask cluster ended before they were done, as where memory runs out, or this project is missing"
            advice = "give them more, or lower `slice_rows`; install what runs have there, in the same versions"
            raise RunError(f"{reason}; {advice}") from error


@contextmanager
def open_workers(spec: ModelSpec) -> Iterator[Workers]:
    """Open the workers that the settings name.

    Raises MissingDependencyError where Dask is not installed, RunError where its scheduler does not answer.
    """
    count = spec.processes or os.cpu_count() or 1
    with ExitStack() as stack:
        if spec.scale_out == "dask":
            yield DaskCluster(stack.enter_context(_connect(spec.dask_address, count)))
        else:
            yield ProcessPool(count, stack) if count > 1 else ThisProcess()


@contextmanager
def _connect(address: str | None, count: int) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra, which only this needs
    except ImportError as error:
        raise MissingDependencyError("scale_out: dask", "dask") from error
    with ExitStack() as stack:
        place = address or stack.enter_context(LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None))
        yield stack.enter_context(_open_client(Client, place))


def _open_client(build: Callable[[Any], Any], place: Any) -> Any:
    try:
        return build(place)
    except (OSError, ValueError) as error:  # nobody answers; not an address
        advice = "start the scheduler, or name another (tcp://host:8786)"
        raise RunError(f"dask_address: no scheduler of Dask at {place} ({error}); {advice}") from error


def choose_workers(workers: Workers, rows: int) -> Workers:
    """Return the workers for so many rows: few are not worth their way to another process."""
    return workers if rows >= LEAST_ROWS else ThisProcess()


def divide(names: Sequence[str], count: int) -> list[Sequence[str]]:
    """Divide names evenly into at most ``count`` parts, none of them empty.

    >>> divide(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    size = -(-len(names) // count) or 1
    return [names[start : start + size] for start in range(0, len(names), size)]
