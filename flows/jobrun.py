"""What every job does before its own steps: open the batch and its connections."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from anomflow.batches import Batch, load_batch
from anomflow.deploy_spec import TIMEOUT_VARIABLE
from anomflow.errors import RunError
from anomflow.leases import build_lease
from anomflow.protocols import Clock, ModelStore, Notifier, SystemClock, Warehouse
from anomflow.signing import read_key
from anomflow.slicing import Part
from blocks.home import find_home
from blocks.loading import load_batch_warehouse, load_store, load_warehouse
from blocks.notifiers.loading import load_notifier
from tasks.history import Library
from tasks.models import Shelf
from tasks.shard_runs import Order, ShardedJob, find_elapsed, find_patience, is_in_run
from tasks.warehouse import Target

if TYPE_CHECKING:
    from anomflow.spec import BatchSpec

# Channels that a run over past times may use without being told to send.
LOCAL_CHANNELS = ("file", "console")


@dataclass(frozen=True)
class Request:
    """What a run was asked for: a batch, the time that it judges by (None: now), overrides, and where settings lie.

    ``shard`` is the one that it works on (None: all), for the run ``parent``, which waits for what it hands over.
    """

    batch: str
    as_of: datetime | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    send: bool = False
    metrics: str | None = None
    shard: int | None = None
    parent: str | None = None


class Run:
    """An opened batch: its settings and connections, the time it judges by, the clock of its claims."""

    def __init__(self, batch: Batch, request: Request, clock: Clock) -> None:
        home = find_home()
        spec = batch.spec
        self.batch = batch
        self.request = request
        self.part = find_part(request, spec.models.shards)
        self.home = home
        self.clock = clock
        self.is_live = request.as_of is None
        self.as_of = (request.as_of or clock.now()).astimezone(UTC)
        self.is_replay = not self.is_live and not request.send
        self.run_id = uuid4().hex
        self.lease = build_lease(clock.now(), find_timeout())
        self.warehouse: Warehouse = load_batch_warehouse(spec.common, home)
        self.source: Warehouse = load_warehouse(spec.ingest.ingest_db, home, "ingest_db") if spec.ingest.ingest_db else self.warehouse.rows
        self.store: ModelStore = load_store(spec.models.model_path, home)

    @property
    def spec(self) -> BatchSpec:
        """Return the batch's effective settings."""
        return self.batch.spec

    def catch_up(self) -> None:
        """Let a live run judge by the time that it is now: what a source measured meanwhile is not of the future."""
        if self.is_live:
            self.as_of = self.clock.now().astimezone(UTC)

    @property
    def target(self) -> Target:
        """Return where this run writes."""
        return Target(self.warehouse, self.spec, self.as_of)

    @property
    def parts(self) -> tuple[Part, ...] | None:
        """Return the parts whose metrics this run works on; None: all there are."""
        return None if self.part is None else (self.part,)

    @property
    def library(self) -> Library:
        """Return where this run reads."""
        return Library(self.warehouse, self.batch, self.as_of, self.part)

    @property
    def shelf(self) -> Shelf:
        """Return where this run's models are."""
        return Shelf(self.warehouse.rows, self.store, self.spec, self.lease, read_key(os.environ))

    def build_order(self, job: ShardedJob) -> Order | None:
        """Return what the runs of the shards are to do; None where this run does it itself."""
        models = self.spec.models
        if models.scale_out != "deployments" or models.shards == 1 or self.part is not None or not is_in_run():
            return None
        patience = find_patience(models.shard_timeout.total_seconds(), find_timeout(), find_elapsed())
        return Order(job, self.batch.name, self.shard_parameters, models.shards, patience)

    @property
    def shard_parameters(self) -> dict[str, Any]:
        """Return what the runs of all shards are told: to divide the metrics as this run does, whatever the batch's file says by then."""
        request = self.request
        settings = {**request.settings, "shards": str(self.spec.models.shards)}
        given = {} if request.metrics is None else {"metrics": request.metrics}
        return {"batch": self.batch.name, "as_of": self.as_of.isoformat(), "settings": settings, **given}

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channels of this run: over past times only those that stay on this machine, unless told to send."""
        methods = self.spec.alert.alert_methods
        if not self.is_replay:
            return methods
        # An alert of the past that went nowhere would be sent by the next live run.
        return tuple(method for method in methods if method in LOCAL_CHANNELS) or LOCAL_CHANNELS[:1]

    def load_notifier(self, channel: str) -> Notifier:
        """Load the notifier of a channel."""
        return load_notifier(channel, self.home, os.environ)


def find_timeout() -> float | None:
    """Return the seconds after which a run of this process fails: ANOMFLOW_RUN_TIMEOUT, which deployments set; None: never.

    Raises RunError where it is no number above zero.
    """
    text = os.environ.get(TIMEOUT_VARIABLE)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise RunError(f"{TIMEOUT_VARIABLE} is {text!r}; allowed is a number of seconds above 0")
    return seconds


def find_part(request: Request, shards: int) -> Part | None:
    """Return the metrics that a run works on; raises RunError where there is no such shard, or nobody who waits for it."""
    if request.shard is None:
        return None
    if not 0 <= request.shard < shards:
        raise RunError(f"shard is {request.shard}; {request.batch} has the shards 0 to {shards - 1} (its setting `shards`)")
    if request.parent is None:
        raise RunError("shard is given without parent; start the job of the whole batch, which starts the runs of its shards")
    return Part(request.shard, shards)


def metrics_folder(request: Request) -> Path:
    """Return the folder of the batches: asked for, else ANOMFLOW_METRICS, else ``metrics``."""
    return Path(request.metrics or os.environ.get("ANOMFLOW_METRICS", "metrics"))


def open_run(request: Request, clock: Clock | None = None) -> Run:
    """Load the batch and its connections; raises SettingsError with every wrong setting at once."""
    batch = load_batch(metrics_folder(request), request.batch, os.environ, request.settings)
    return Run(batch, request, clock or SystemClock())
