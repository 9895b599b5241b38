"""What the run of a shard hands over to the run that waits for it: an object of the model store, signed as models are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anomflow.errors import CorruptModelError, MissingModelError, ModelError, StoreUnavailableError
from anomflow.leases import GRACE
from anomflow.signing import sign, verify
from anomflow.versions import ObjectRef, Published
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    from tasks.models import Shelf
    from tasks.shard_runs import ShardRuns


@dataclass(frozen=True)
class Handover:
    """What became of the metrics of a shard, its object where it was trained, and until when that is kept without being published."""

    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    published: Published | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Gathered:
    """What the runs of all shards handed over, and why shards have nothing, by shard."""

    parts: Mapping[int, Handover]
    lost: Mapping[int, str]

    @property
    def total(self) -> Handover:
        """Return all that was handed over, in one."""
        counts: Counter[str] = Counter()
        for part in self.parts.values():
            counts.update(part.counts)
        failures = {name: reason for part in self.parts.values() for name, reason in part.failures.items()}
        return Handover(dict(counts), failures, tuple(dict.fromkeys(note for part in self.parts.values() for note in part.notes)))


@effect("hand over", retries=RETRIES)
def write_handover(shelf: Shelf, name: str, handover: Handover) -> None:
    """Write what a run hands over."""
    shelf.store.write(name, sign(_dump(handover), shelf.key))


@effect("gather shards", retries=RETRIES)
def gather(shelf: Shelf, runs: ShardRuns, now: datetime) -> Gathered:
    """Read what the runs of the shards handed over; what cannot be read, or is too old to be published, counts as lost."""
    parts: dict[int, Handover] = {}
    lost = dict(runs.lost)
    for shard in sorted(set(range(shelf.spec.models.shards)) - set(lost)):
        try:
            parts[shard] = _read(shelf, name_handover(runs.job, runs.parent, shard), now)
        except StoreUnavailableError:
            raise
        except ModelError as error:
            lost[shard] = str(error)
    return Gathered(parts, dict(sorted(lost.items())))


def _read(shelf: Shelf, name: str, now: datetime) -> Handover:
    """Read what a run handed over; raise ModelError where its object may be gone before it is published, as after a retry days later."""
    part = _load(bytes(verify(shelf.store.read(name), shelf.key)))
    if part.published is not None and part.until is not None and part.until - GRACE < now:
        raise ModelError(f"what it learned is kept until {part.until:%Y-%m-%d %H:%M} UTC, too short to publish it now")
    return part


@effect("forget shards", retries=RETRIES)
def forget(shelf: Shelf, runs: ShardRuns) -> None:
    """Remove what the runs of the shards handed over, once all of it is used: a run that is started again may need it before."""
    for shard in range(shelf.spec.models.shards):
        shelf.store.delete(name_handover(runs.job, runs.parent, shard))


def has_handover(shelf: Shelf, name: str) -> bool:
    """Tell whether there is something that a run handed over."""
    try:
        shelf.store.read(name)
    except MissingModelError:
        return False
    return True


def name_handover(job: str, parent: str, shard: int) -> str:
    """Name what the run of a shard hands over to its parent."""
    return f"shard-runs/{parent}/{job}/{shard}"


def _dump(handover: Handover) -> bytes:
    published = handover.published
    made: dict[str, Any] | None = None
    until = None if handover.until is None else handover.until.isoformat()
    if published is not None:
        made = {
            "shard": published.ref.shard,
            "name": published.ref.name,
            "sha256": published.ref.sha256,
            "checkpoint": published.checkpoint.isoformat(),
            "origin": None if published.origin is None else published.origin.isoformat(),
            "metrics": published.metrics,
            "fingerprint": published.fingerprint,
        }
    content = {"counts": handover.counts, "failures": handover.failures, "notes": list(handover.notes), "published": made, "until": until}
    return json.dumps(content).encode()


def _load(content: bytes) -> Handover:
    try:
        said = json.loads(content)
        made = said["published"]
        until = None if said.get("until") is None else datetime.fromisoformat(said["until"])
        return Handover(said["counts"], said["failures"], tuple(said["notes"]), None if made is None else _build(made), until)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptModelError(f"what the run of a shard handed over cannot be read: {error}") from error


def _build(made: Mapping[str, Any]) -> Published:
    origin = None if made["origin"] is None else datetime.fromisoformat(made["origin"])
    ref = ObjectRef(made["shard"], made["name"], made["sha256"])
    return Published(ref, datetime.fromisoformat(made["checkpoint"]), origin, made["metrics"], made["fingerprint"])
