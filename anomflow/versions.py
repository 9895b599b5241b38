"""Published versions of a batch's models: their rows, their order, which may be dropped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from anomflow.frames import MODELS


@dataclass(frozen=True)
class ObjectRef:
    """One shard's object in the model store."""

    shard: int
    name: str
    sha256: str


@dataclass(frozen=True)
class Version:
    """A version: the objects of its shards, each of whose states know the rows up to its checkpoint (inclusive, UTC).

    ``checkpoint`` is the newest of them. A shard that could not be trained keeps its object, and its checkpoint.
    """

    version: str
    checkpoint: datetime
    objects: tuple[ObjectRef, ...]
    checkpoints: tuple[datetime, ...]

    @property
    def oldest(self) -> datetime:
        """Return the checkpoint after which rows are unknown to some shard."""
        return min(self.checkpoints)

    def find_checkpoint(self, shard: int) -> datetime:
        """Return up to when the states of a shard know the rows."""
        return next(known for ref, known in zip(self.objects, self.checkpoints, strict=True) if ref.shard == shard)


@dataclass(frozen=True)
class Published:
    """What a published shard's row says besides its version."""

    ref: ObjectRef
    checkpoint: datetime
    origin: datetime | None
    metrics: int
    fingerprint: str


def version_name(batch: str, checkpoint: datetime, refs: Sequence[ObjectRef]) -> str:
    """Name a version by what it is, so that publishing it twice changes nothing."""
    facts = json.dumps([batch, checkpoint.isoformat(), [[ref.shard, ref.sha256] for ref in refs]])
    return f"{checkpoint:%Y%m%dT%H%M%S}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


def version_rows(batch: str, version: str, shards: Sequence[Published], facts: dict[str, object]) -> pl.DataFrame:
    """Return the rows of a version; ``facts`` holds settings, library_versions (JSON text) and created."""
    rows = [
        {
            "version": version,
            "metric_batch": batch,
            "shard": shard.ref.shard,
            "object_name": shard.ref.name,
            "sha256": shard.ref.sha256,
            "fingerprint": shard.fingerprint,
            "origin": shard.origin,
            "checkpoint": shard.checkpoint,
            "metrics": shard.metrics,
            **facts,
        }
        for shard in shards
    ]
    return pl.DataFrame(rows, schema=MODELS.columns)


def read_versions(rows: pl.DataFrame, as_of: datetime) -> list[Version]:
    """Return the versions whose checkpoint is not after ``as_of``, the newest first."""
    parts = pl.col("checkpoint", "shard", "object_name", "sha256")
    grouped = rows.sort("shard").group_by("version").agg(parts, pl.col("created").max(), newest=pl.col("checkpoint").max())
    usable = grouped.filter(pl.col("newest") <= as_of).sort("newest", "created", "version", descending=True)
    return [_build_version(row) for row in usable.iter_rows(named=True)]


def _build_version(row: dict[str, Any]) -> Version:
    objects = tuple(map(ObjectRef, row["shard"], row["object_name"], row["sha256"]))
    return Version(row["version"], row["newest"], objects, tuple(row["checkpoint"]))


def find_obsolete(rows: pl.DataFrame, keep: int) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows (key columns) of versions beyond the newest ``keep``, and the objects that only these use."""
    newest = rows.group_by("version").agg(pl.col("checkpoint").max(), pl.col("created").max())
    order = newest.sort("checkpoint", "created", "version", descending=True)["version"]
    kept = order.head(keep).to_list()
    old = rows.filter(~pl.col("version").is_in(kept))
    used = set(rows.filter(pl.col("version").is_in(kept))["object_name"])
    return old.select(MODELS.key), sorted(set(old["object_name"]) - used)
