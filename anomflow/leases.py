"""Notes beside objects that are written and not published yet: whose they are, and until when their run may publish them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

FOLDER: Final = "unpublished"
NO_LIMIT: Final = timedelta(days=7)  # for a run that nothing ends
GRACE: Final = timedelta(hours=1)  # for clocks that differ, runs that end late, and to publish what others wrote
_TIME: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(FOLDER + r"/([0-9a-f]{16})/(\d{8}T\d{6}Z)-([0-9a-f]{64})")


@dataclass(frozen=True)
class Lease:
    """When a run began, and until when what it writes is its own (both UTC): nobody removes it before."""

    began: datetime
    until: datetime


@dataclass(frozen=True)
class Note:
    """The note of an object: its name in the store, the object's name, until when it is of a run that may be at work."""

    name: str
    object_name: str
    until: datetime


@dataclass(frozen=True)
class Leftovers:
    """What runs that ended without publishing left: objects that nobody uses, and notes that say nothing any more."""

    objects: tuple[str, ...]
    notes: tuple[str, ...]


def build_lease(began: datetime, limit: float | None) -> Lease:
    """Return the lease of a run that ends after ``limit`` seconds (None: no limit).

    The run that waits for it began before it and has the same limit, so twice the limit is beyond the end of both.

    >>> build_lease(datetime(2026, 1, 1, tzinfo=UTC), 3600).until.isoformat()
    '2026-01-01T03:00:00+00:00'
    """
    return Lease(began, began + (NO_LIMIT if limit is None else 2 * timedelta(seconds=limit) + GRACE))


def name_folder(*owner: str) -> str:
    """Name the folder of a batch's objects, which warehouse, table and name tell from others that use the same store.

    What they do not share, none of them can take from another, also where its bytes are the same.
    """
    return sha256(json.dumps(owner).encode()).hexdigest()[:16]


def name_notes(folder: str) -> str:
    """Name the folder of the notes of the objects in a batch's folder."""
    return f"{FOLDER}/{folder}"


def name_note(lease: Lease, object_name: str) -> str:
    """Name the note of an object; runs that write the same object at different times have notes of their own."""
    folder, _, digest = object_name.partition("/")
    return f"{name_notes(folder)}/{lease.until.astimezone(UTC):{_TIME}}-{digest}"


def read_notes(names: Iterable[str]) -> list[Note]:
    """Return the notes that have these names; other names are left out."""
    found = filter(None, map(_NAME.fullmatch, names))
    return [Note(match[0], f"{match[1]}/{match[3]}", datetime.strptime(match[2], _TIME).replace(tzinfo=UTC)) for match in found]


def find_leftovers(notes: Collection[Note], named: Collection[str], now: datetime) -> Leftovers:
    """Tell what may be removed; ``named`` are the objects that a version names.

    An object stays while one of its notes is of a run that may be at work.
    """
    working = {note.object_name for note in notes if note.until >= now}
    dead = {note.object_name for note in notes} - working - {*named}
    return Leftovers(
        tuple(sorted(dead)), tuple(sorted(note.name for note in notes if note.object_name in dead or note.object_name in named))
    )
