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
_LAST: Final = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{64})")


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
    """Name the folder of the notes of a batch, which warehouse, table and name tell from others that use the same store."""
    return f"{FOLDER}/{sha256(json.dumps(owner).encode()).hexdigest()[:16]}"


def name_note(folder: str, lease: Lease, object_name: str) -> str:
    """Name the note of an object; runs that write the same object at different times have notes of their own."""
    return f"{folder}/{lease.until.astimezone(UTC):{_TIME}}-{object_name}"


def read_notes(names: Iterable[str]) -> list[Note]:
    """Return the notes that have these names; other names are left out."""
    found = ((name, _LAST.fullmatch(name.rpartition("/")[2])) for name in names)
    return [Note(name, match[2], datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)) for name, match in found if match]


def find_leftovers(notes: Collection[Note], named: Collection[str], now: datetime) -> Leftovers:
    """Tell what may be removed; ``named`` are the objects that a version names.

    An object stays while one of its notes is of a run that may be at work.
    """
    working = {note.object_name for note in notes if note.until >= now}
    dead = {note.object_name for note in notes} - working - {*named}
    return Leftovers(
        tuple(sorted(dead)), tuple(sorted(note.name for note in notes if note.object_name in dead or note.object_name in named))
    )
