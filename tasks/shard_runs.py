"""Shards as runs of their own: start a run of the twin deployment for each, wait for them, end them with their parent."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from anomflow.errors import RunError
from anomflow.slicing import name_twin
from tasks.effects import effect
from tasks.handover import has_handover, name_handover

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

    from tasks.models import Shelf

ShardedJob = Literal["train", "score"]

# Seconds between looks at the runs, the first and the last of a growing row.
FIRST_PAUSE: Final = 1.0
LAST_PAUSE: Final = 15.0
_PAGE: Final = 200
# Of the time limit of a run that waits; what is left is for reading, publishing and telling what shards did.
USED_BY_WAITING: Final = 0.9


@dataclass(frozen=True)
class Patience:
    """How many seconds a run waits for others, and why no longer."""

    seconds: float
    reason: str


@dataclass(frozen=True)
class Order:
    """What the runs of a job's shards are to do, and how long their parent waits for them."""

    job: ShardedJob
    batch: str
    parameters: Mapping[str, Any]
    shards: int
    patience: Patience

    @property
    def deployment(self) -> str:
        """Return the deployment whose runs they are."""
        return f"{self.job}/{name_twin(self.batch)}"


@dataclass(frozen=True)
class ShardRuns:
    """The job and the run that waits, and why shards have no result, by shard."""

    job: ShardedJob
    parent: str
    lost: Mapping[int, str]


def find_patience(asked: float, limit: float | None, elapsed: float) -> Patience:
    """Return how long a run waits for its shards: as asked, but not into the last tenth of its own time limit (None: it has none).

    A run that ends at its limit could neither use what the other shards did nor tell which of them was late. All in seconds.

    >>> find_patience(3600, 3600, elapsed=40)
    Patience(seconds=3200.0, reason='nine tenths of its own time-out, 3600 seconds')
    """
    if limit is None or (left := max(0.0, limit * USED_BY_WAITING - elapsed)) >= asked:
        return Patience(asked, "shard_timeout")
    return Patience(left, f"nine tenths of its own time-out, {limit:g} seconds")


def find_elapsed() -> float:
    """Return the seconds that the flow run has worked already; 0 outside of one."""
    context = FlowRunContext.get()
    return 0.0 if context is None else (datetime.now(UTC) - context.start_time).total_seconds()


def is_in_run() -> bool:
    """Tell whether this is a run of a flow, which alone can have runs of its own."""
    return FlowRunContext.get() is not None


def find_run_id() -> str:
    """Return the id of the flow run that this is; raises RunError outside of one."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RunError("shards are runs of a run: outside of a flow run there are none")
    return str(context.flow_run.id)


@effect("run shards")
def run_shards(order: Order, shelf: Shelf) -> ShardRuns:
    """Run each shard as a run of the twin deployment and wait for all; raises RunError where there is no such deployment.

    Requests to the API grow with the shards and the time. Whatever ends the wait ends the runs that are not done. Where the
    run itself was started again, those of its shards that are not done, or left a result, count; the others are new.
    """
    parent, until = find_run_id(), time.monotonic() + order.patience.seconds
    ids: dict[UUID, int] = {}
    with get_client(sync_client=True) as client:
        try:
            attempt = _Attempt(parent, client.read_flow_run(UUID(parent)).run_count)
            for shard in range(order.shards):
                ids[_find_or_start(order, shelf, attempt, shard).id] = shard
            runs = _wait(client, list(ids), until)
        except BaseException:  # also the signal that cancels this run
            _cancel(client, _read_runs(client, list(ids)))
            raise
        _cancel(client, runs)
    return ShardRuns(
        order.job, parent, {ids[run.id]: _tell(run, order) for run in runs if run.state is None or not run.state.is_completed()}
    )


@dataclass(frozen=True)
class _Attempt:
    """The run that waits, and the how manieth time it is that it works."""

    parent: str
    number: int


def _find_or_start(order: Order, shelf: Shelf, attempt: _Attempt, shard: int) -> FlowRun:
    """Return the run of a shard: one of an earlier attempt that works or left a result, else a new one."""
    name = name_handover(order.job, attempt.parent, shard)
    for number in range(1, attempt.number):
        run = _start(order, _Attempt(attempt.parent, number), shard)
        if run.state is None or not (run.state.is_final() or run.state.is_cancelling()):
            return run
        if run.state.is_completed() and has_handover(shelf, name):
            return run
    return _start(order, attempt, shard)


def _start(order: Order, attempt: _Attempt, shard: int) -> FlowRun:
    """Start a run, or return the one that this attempt started already."""
    parameters = {**order.parameters, "shard": shard, "parent": attempt.parent}
    key = f"{attempt.parent}-{order.job}-{shard}-{attempt.number}"
    try:
        return run_deployment(  # type: ignore[return-value]  # a coroutine only inside an event loop
            order.deployment, parameters=parameters, timeout=0, idempotency_key=key
        )
    except ObjectNotFound as error:
        message = f"scale_out is deployments, and there is no deployment {order.deployment!r}"
        raise RunError(f"{message}; make it with `anomflow sync`, and deploy") from error


def _wait(client: SyncPrefectClient, ids: Sequence[UUID], until: float) -> list[FlowRun]:
    pause = FIRST_PAUSE
    while True:
        runs = _read_runs(client, ids)
        is_done = all(run.state is not None and run.state.is_final() for run in runs)
        left = until - time.monotonic()
        if is_done or left <= 0:
            return runs
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LAST_PAUSE)


def _read_runs(client: SyncPrefectClient, ids: Sequence[UUID]) -> list[FlowRun]:
    pages = [ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE)]
    return [
        run for page in pages for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=page)), limit=_PAGE)
    ]


def _cancel(client: SyncPrefectClient, runs: Sequence[FlowRun]) -> None:
    for run in runs:
        if run.state is None or not run.state.is_final():
            client.set_flow_run_state(run.id, Cancelling(message="the run that waits for it has ended"))


def _tell(run: FlowRun, order: Order) -> str:
    """Say why a run has no result."""
    if run.state is None or not run.state.is_final():
        return f"its run {run.name} was not done after {order.patience.seconds:.0f} seconds ({order.patience.reason})"
    return f"its run {run.name} ended {run.state.name}: {run.state.message or 'no reason given'}"
