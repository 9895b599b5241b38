"""Remove what is kept of models no longer: versions beyond the newest, and what killed runs left unpublished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomflow.errors import StoreError, StoreUnavailableError
from anomflow.frames import MODELS
from anomflow.leases import Note, find_leftovers, name_notes, read_notes
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
    said: list[str] = []
    notes: list[Note] = []
    with _sparing_the_run(said):
        # Before the rows are read: a run publishes first, and removes its notes then.
        notes = read_notes(shelf.store.names(name_notes(shelf.folder)))
    old, kept = _drop_rows(shelf)
    _delete_objects(shelf.store, old)
    left = find_leftovers(notes, kept, shelf.lease.began)
    with _sparing_the_run(said):
        _delete_objects(shelf.store, (*left.objects, *left.notes))
    return Dropped(len(old) + (0 if said else len(left.objects)), tuple(said))


@contextmanager
def _sparing_the_run(said: list[str]) -> Iterator[None]:
    """Note what is refused of leftovers: not to be allowed to list or delete them costs room, and no version."""
    try:
        yield
    except StoreUnavailableError:
        raise
    except StoreError as error:
        said.append(f"what killed runs may have left in the model store stays there ({error})")


def _drop_rows(shelf: Shelf) -> tuple[list[str], set[str]]:
    """Remove the rows of old versions, before the objects that they alone name; return these objects and those of other versions."""
    with shelf.warehouse.writing() as session:
        rows = shelf.read_rows(session)
        keys, objects = find_obsolete(rows, shelf.spec.models.model_keep_n)
        if keys.height:
            session.delete_keys(MODELS, shelf.table, keys)
    return objects, {*rows["object_name"]} - {*objects}


def _delete_objects(store: ModelStore, names: Sequence[str]) -> None:
    for name in names:
        store.delete(name)
