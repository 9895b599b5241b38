"""Published versions of a batch's models: their rows, their order, which may be dropped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

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
    """A version: the objects of its shards; its states know the rows up to ``checkpoint`` (inclusive, UTC)."""

    version: str
    checkpoint: datetime
    objects: tuple[ObjectRef, ...]


@dataclass(frozen=True)
class Published:
    """What a published shard's row says besides its version."""

    ref: ObjectRef
    origin: datetime | None
    metrics: int
    fingerprint: str


def version_name(batch: str, checkpoint: datetime, refs: Sequence[ObjectRef]) -> str:
    """Name a version by what it is, so that publishing it twice changes nothing."""
    facts = json.dumps([batch, checkpoint.isoformat(), [[ref.shard, ref.name] for ref in refs]])
    return f"{checkpoint:%Y%m%dT%H%M%S}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


def version_rows(batch: str, version: str, shards: Sequence[Published], facts: dict[str, object]) -> pl.DataFrame:
    """Return the rows of a version; ``facts`` holds settings, library_versions (JSON text), checkpoint and created."""
    rows = [
        {
            "version": version,
            "metric_batch": batch,
            "shard": shard.ref.shard,
            "object_name": shard.ref.name,
            "sha256": shard.ref.sha256,
            "fingerprint": shard.fingerprint,
            "origin": shard.origin,
            "metrics": shard.metrics,
            **facts,
        }
        for shard in shards
    ]
    return pl.DataFrame(rows, schema=MODELS.columns)


def read_versions(rows: pl.DataFrame, as_of: datetime) -> list[Version]:
    """Return the versions whose checkpoint is not after ``as_of``, the newest first."""
    usable = rows.filter(pl.col("checkpoint") <= as_of).sort(
        ["checkpoint", "created", "version", "shard"], descending=[True, True, True, False]
    )
    grouped = usable.group_by("version", maintain_order=True).agg("checkpoint", "shard", "object_name", "sha256")
    return [
        Version(row["version"], row["checkpoint"][0], tuple(map(ObjectRef, row["shard"], row["object_name"], row["sha256"])))
        for row in grouped.iter_rows(named=True)
    ]


def find_obsolete(rows: pl.DataFrame, keep: int) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows (key columns) of versions beyond the newest ``keep``, and the objects that only these use."""
    order = rows.sort(["checkpoint", "created", "version"], descending=True)["version"].unique(maintain_order=True)
    kept = order.head(keep).to_list()
    old = rows.filter(~pl.col("version").is_in(kept))
    used = set(rows.filter(pl.col("version").is_in(kept))["object_name"])
    return old.select(MODELS.key), sorted(set(old["object_name"]) - used)
