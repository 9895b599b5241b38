"""Publish and pin versions of models: objects in the store, one row each in the warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from anomflow.errors import CorruptModelError, ModelError, StoreError
from anomflow.frames import MODELS
from anomflow.leases import Lease, name_folder, name_note
from anomflow.model_bytes import dump, load, object_name
from anomflow.models import FittedModel, library_versions, load_features
from anomflow.signing import sign
from anomflow.versions import ObjectRef, Published, Version, read_versions, version_name, version_rows
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    import polars as pl

    from anomflow.protocols import ModelStore, Session, Warehouse
    from anomflow.sections.common import FeatureSpec
    from anomflow.slicing import Part
    from anomflow.spec import BatchSpec

# Models of a version up to this size are held together; they take about twice as much when they are loaded.
HELD_BYTES: Final = 64_000_000


class ShelvedModels(Mapping[int, FittedModel]):
    """The models of a version by shard; many large ones are loaded again when they are asked for, one at a time.

    ``parts`` are those whose metrics are worked on (None: all): the models of other metrics are not read for them.
    """

    def __init__(self, shelf: Shelf, version: Version, parts: Sequence[Part] | None = None) -> None:
        self._shelf = shelf
        self._objects = {ref.shard: ref for ref in version.objects}
        self._held: dict[int, FittedModel] = {}
        if sorted(self._objects) != list(range(len(self._objects))):
            raise CorruptModelError(f"{shelf.table} has rows of shards {', '.join(map(str, sorted(self._objects)))} alone")
        used = [shard for shard in self._objects if parts is None or any(part.overlaps(shard, len(self)) for part in parts)]
        self._most, size = max(1, len(used)), 0
        for shard in used:  # all of them, so that what is used is known to be whole
            size += self._load(shard)
            if size > HELD_BYTES:
                self._most = 1
        self.features = load_features(self[(used or list(self))[-1]].settings)

    def __getitem__(self, shard: int) -> FittedModel:
        """Return the model of a shard."""
        if shard not in self._held:
            self._load(shard)
        return self._held[shard]

    def __iter__(self) -> Iterator[int]:
        """Yield the shards."""
        return iter(self._objects)

    def __len__(self) -> int:
        """Return how many shards there are."""
        return len(self._objects)

    def _load(self, shard: int) -> int:
        if len(self._held) >= self._most:
            self._held.clear()
        ref = self._objects[shard]
        content = read_object(self._shelf, ref.name)
        self._held[shard] = load(content, ref.sha256, self._shelf.key)
        return len(content)


@effect("read model", retries=RETRIES)
def read_object(shelf: Shelf, name: str) -> bytes:
    """Return the bytes of an object of the store."""
    return shelf.store.read(name)


@dataclass(frozen=True)
class Pinned:
    """The version that a run uses, whole where it uses it."""

    version: Version
    models: ShelvedModels

    @property
    def features(self) -> tuple[FeatureSpec, str]:
        """Return the features and the time zone that its models were made with: scores are made with the same."""
        return self.models.features


@dataclass(frozen=True)
class Shelf:
    """Where the models of a batch are kept, how long what is written is this run's own, the key that signs it, where there is one."""

    warehouse: Warehouse
    store: ModelStore
    spec: BatchSpec
    lease: Lease
    key: str | None = field(default=None, repr=False)

    @property
    def table(self) -> str:
        """Return the name of the table of versions."""
        return MODELS.name(self.spec.common.table_key)

    @property
    def folder(self) -> str:
        """Return the folder of this batch's objects in the store."""
        return name_folder(self.warehouse.location, self.spec.common.table_key, self.spec.name)

    def read_rows(self, session: Session) -> pl.DataFrame:
        """Return the rows of this batch's versions."""
        return session.read_table(MODELS, self.table, f"metric_batch = {session.literal(self.spec.name)}")


@effect("pin model", retries=RETRIES)
def pin_version(shelf: Shelf, as_of: datetime, parts: Sequence[Part] | None = None) -> tuple[Pinned | None, tuple[str, ...]]:
    """Load the newest version that is whole, whose rows are not after ``as_of``; None and the reasons where there is none.

    Of metrics in ``parts`` (None: all) alone their models are read and need be whole: a spoilt one is that of its own shard.
    Raises StoreError where the store itself does not answer: an older version would not be a better one.
    """
    with shelf.warehouse.reading() as session:
        rows = shelf.read_rows(session)
    notes: list[str] = []
    for version in read_versions(rows, as_of):
        try:
            models = ShelvedModels(shelf, version, parts)
        except StoreError:  # which says nothing of this version
            raise
        except ModelError as error:
            notes.append(f"model version {version.version} is not usable ({error}); the version before is used")
            continue
        return Pinned(version, models), tuple(notes)
    return None, tuple(notes)


def keep_object(pinned: Pinned, shard: int, shards: int) -> Published | None:
    """Return a shard's object of a version, to publish it again; None where the version has another number of shards."""
    if len(pinned.models) != shards:
        return None
    model, ref = pinned.models[shard], next(ref for ref in pinned.version.objects if ref.shard == shard)
    return Published(ref, pinned.version.find_checkpoint(shard), _find_origin(model), len(model.states), model.fingerprint)


def _find_origin(model: FittedModel) -> datetime | None:
    return None if model.origin is None else datetime.fromtimestamp(model.origin, UTC)


@dataclass(frozen=True)
class Draft:
    """Objects to publish as a version, one a shard, and what is recorded with them."""

    shards: Sequence[Published]
    checkpoint: datetime
    created: datetime
    settings: str


@effect("publish model", retries=RETRIES)
def publish_version(shelf: Shelf, draft: Draft) -> str:
    """Write the rows that make objects a version; return its name. Publishing the same again changes nothing."""
    shards = sorted(draft.shards, key=lambda shard: shard.ref.shard)
    version = version_name(shelf.spec.name, draft.checkpoint, [shard.ref for shard in shards])
    facts = {
        "settings": draft.settings,
        "library_versions": json.dumps(library_versions()),
        "created": draft.created,
    }
    with shelf.warehouse.writing() as session:
        session.insert_missing(MODELS, shelf.table, version_rows(shelf.spec.name, version, shards, facts))
    return version


@effect("write model", retries=RETRIES)
def write_object(shelf: Shelf, shard: int, model: FittedModel, checkpoint: datetime) -> Published:
    """Write the model of a shard, which nobody uses before its version is published."""
    content = sign(dump(model), shelf.key)
    digest = object_name(content)
    name = f"{shelf.folder}/{digest}"
    # First, so that there is no object without one: whoever is killed now leaves a note of what it left.
    shelf.store.write(name_note(shelf.lease, name), b"")
    shelf.store.write(name, content)
    return Published(ObjectRef(shard, name, digest), checkpoint, _find_origin(model), len(model.states), model.fingerprint)


@effect("check train schedule", retries=RETRIES)
def is_train_due(shelf: Shelf, as_of: datetime) -> bool:
    """Tell whether the cron of train has fired since the newest version's checkpoint, or there is no version."""
    if shelf.spec.is_disabled("train"):
        return False
    with shelf.warehouse.reading() as session:
        versions = read_versions(shelf.read_rows(session), as_of)
    if not versions:
        return True
    zone = ZoneInfo(shelf.spec.common.timezone)
    return next(CronSim(shelf.spec.train.train_cron_schedule, versions[0].checkpoint.astimezone(zone))) <= as_of
