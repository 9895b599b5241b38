"""Remove what is kept of models no longer: versions beyond the newest, and what killed runs left unpublished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomflow.errors import StoreError, StoreUnavailableError
from anomflow.frames import MODELS
from anomflow.leases import find_leftovers, name_notes, read_notes
from anomflow.versions import find_obsolete
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    from anomflow.protocols import ModelStore
    from tasks.models import Shelf


@dataclass(frozen=True)
class Dropped:
    """How many objects were removed, and what to tell."""

    objects: int
    notes: tuple[str, ...] = ()


@effect("drop old models", retries=RETRIES)
def drop_old_models(shelf: Shelf) -> Dropped:
    """Remove the versions beyond those kept, and the objects that killed runs left without publishing them."""
    old = _drop_old_versions(shelf)
    try:
        return Dropped(old + _drop_leftovers(shelf))
    except StoreUnavailableError:
        raise
    except StoreError as error:  # not to be allowed to list or delete costs room, and no version
        return Dropped(old, (f"what killed runs may have left in the model store stays there ({error})",))


def _drop_old_versions(shelf: Shelf) -> int:
    """Remove rows first, so that no row names an object that is gone."""
    with shelf.warehouse.writing() as session:
        rows = shelf.read_rows(session)
        keys, objects = find_obsolete(rows, shelf.spec.models.model_keep_n)
        if keys.height:
            session.delete_keys(MODELS, shelf.table, keys)
    _delete_objects(shelf.store, objects)
    return len(objects)


def _drop_leftovers(shelf: Shelf) -> int:
    """Remove what no run publishes any more."""
    # Before the rows are read: a run publishes first, and removes its notes then.
    notes = read_notes(shelf.store.names(name_notes(shelf.folder)))
    with shelf.warehouse.reading() as session:
        rows = shelf.read_rows(session)
    left = find_leftovers(notes, {*rows["object_name"]}, shelf.lease.began)
    _delete_objects(shelf.store, (*left.objects, *left.notes))
    return len(left.objects)


def _delete_objects(store: ModelStore, names: Sequence[str]) -> None:
    for name in names:
        store.delete(name)
