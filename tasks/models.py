"""Publish, pin and drop versions of models: objects in the store, one row each in the warehouse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim

from anomflow.errors import ModelError
from anomflow.frames import MODELS
from anomflow.models import FittedModel, dump, library_versions, load, load_features, object_name
from anomflow.signing import sign
from anomflow.versions import ObjectRef, Published, Version, find_obsolete, read_versions, version_name, version_rows
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    import polars as pl

    from anomflow.protocols import ModelStore, Session, Warehouse
    from anomflow.spec import BatchSpec, FeatureSpec


@dataclass(frozen=True)
class Pinned:
    """The version that a run uses, whole."""

    version: Version
    models: Mapping[int, FittedModel]

    @property
    def features(self) -> tuple[FeatureSpec, str]:
        """Return the features and the time zone that the models were made with: scores are made with the same."""
        return load_features(next(iter(self.models.values())).settings)


@dataclass(frozen=True)
class Shelf:
    """Where the models of a batch are kept, and the key that signs them, where there is one."""

    warehouse: Warehouse
    store: ModelStore
    spec: BatchSpec
    key: str | None = field(default=None, repr=False)

    @property
    def table(self) -> str:
        """Return the name of the table of versions."""
        return MODELS.name(self.spec.common.table_key)

    def read_rows(self, session: Session) -> pl.DataFrame:
        """Return the rows of this batch's versions."""
        return session.read_table(MODELS, self.table, f"metric_batch = {session.literal(self.spec.name)}")


@effect("pin model", retries=RETRIES)
def pin_version(shelf: Shelf, as_of: datetime) -> tuple[Pinned | None, tuple[str, ...]]:
    """Load the newest version that is whole, whose rows are not after ``as_of``; None and the reasons where there is none."""
    with shelf.warehouse.reading() as session:
        rows = shelf.read_rows(session)
    notes: list[str] = []
    for version in read_versions(rows, as_of):
        try:
            models = {ref.shard: load(shelf.store.read(ref.name), ref.sha256, shelf.key) for ref in version.objects}
        except ModelError as error:
            notes.append(f"model version {version.version} is not usable ({error}); the version before is used")
            continue
        return Pinned(version, models), tuple(notes)
    return None, tuple(notes)


@dataclass(frozen=True)
class Draft:
    """Models to publish, by shard, and what is recorded with them."""

    models: Mapping[int, FittedModel]
    checkpoint: datetime
    created: datetime
    settings: str


@effect("publish model", retries=RETRIES)
def publish_version(shelf: Shelf, draft: Draft) -> str:
    """Write the objects, then the rows that make them a version; return its name. Publishing the same again changes nothing."""
    shards = [_write_object(shelf, shard, model) for shard, model in sorted(draft.models.items())]
    version = version_name(shelf.spec.name, draft.checkpoint, [shard.ref for shard in shards])
    facts = {
        "settings": draft.settings,
        "library_versions": json.dumps(library_versions()),
        "checkpoint": draft.checkpoint,
        "created": draft.created,
    }
    with shelf.warehouse.writing() as session:
        session.insert_missing(MODELS, shelf.table, version_rows(shelf.spec.name, version, shards, facts))
    return version


def _write_object(shelf: Shelf, shard: int, model: FittedModel) -> Published:
    content = sign(dump(model), shelf.key)
    digest = object_name(content)
    shelf.store.write(digest, content)
    origin = None if model.origin is None else datetime.fromtimestamp(model.origin, UTC)
    return Published(ObjectRef(shard, digest, digest), origin, len(model.states), model.fingerprint)


@effect("drop old models", retries=RETRIES)
def drop_old_versions(shelf: Shelf) -> int:
    """Remove the versions beyond those kept: rows first, so that no row names an object that is gone."""
    with shelf.warehouse.writing() as session:
        rows = shelf.read_rows(session)
        keys, objects = find_obsolete(rows, shelf.spec.models.model_keep_n)
        if keys.height:
            session.delete_keys(MODELS, shelf.table, keys)
    _delete_objects(shelf.store, objects)
    return len(objects)


def _delete_objects(store: ModelStore, names: Sequence[str]) -> None:
    for name in names:
        store.delete(name)


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
