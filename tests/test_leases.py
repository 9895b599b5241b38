"""Which objects that no version names may be removed, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from anomflow.leases import Leftovers, Note, build_lease, find_leftovers, name_folder, name_note, name_notes, read_notes

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FOLDER = name_folder("duckdb:a.duckdb", "metrics", "shop")
OBJECT, OTHER = f"{FOLDER}/{'a' * 64}", f"{FOLDER}/{'b' * 64}"


@pytest.mark.parametrize(
    ("limit", "until"), [(60, timedelta(hours=1, minutes=2)), (864_000, timedelta(days=20, hours=1)), (None, timedelta(days=7))]
)
def test_a_lease_ends_after_every_run_that_may_publish(limit: float | None, until: timedelta) -> None:
    assert build_lease(NOW, limit).until == NOW + until


def test_a_note_is_read_as_it_was_written_and_nothing_else_is_one() -> None:
    name = name_note(build_lease(NOW, 1800), OBJECT)
    assert name.startswith(f"{name_notes(FOLDER)}/")
    assert read_notes([name, f"{name_notes(FOLDER)}/readme", OBJECT]) == [Note(name, OBJECT, NOW + timedelta(hours=2))]


def test_batches_tables_and_warehouses_have_folders_of_their_own() -> None:
    owners = [("w", "metrics", "shop"), ("v", "metrics", "shop"), ("w", "other", "shop"), ("w", "metrics", "sho"), ("w", "metricss", "hop")]
    assert len({name_folder(*owner) for owner in owners}) == len(owners)


@pytest.mark.parametrize(
    ("notes", "named", "expected"),
    [
        ([Note("n", OBJECT, NOW - MINUTE)], set(), Leftovers((OBJECT,), ("n",))),
        ([Note("n", OBJECT, NOW)], set(), Leftovers((), ())),
        ([Note("n", OBJECT, NOW - MINUTE)], {OBJECT}, Leftovers((), ("n",))),
        ([Note("n", OBJECT, NOW + MINUTE)], {OBJECT}, Leftovers((), ("n",))),
        ([Note("n", OBJECT, NOW - MINUTE), Note("m", OBJECT, NOW + MINUTE)], set(), Leftovers((), ())),
        ([Note("n", OBJECT, NOW - MINUTE), Note("m", OTHER, NOW + MINUTE)], set(), Leftovers((OBJECT,), ("n",))),
    ],
)
def test_an_object_goes_when_no_version_names_it_and_no_run_can_publish_it(notes: list[Note], named: set[str], expected: Leftovers) -> None:
    assert find_leftovers(notes, named, NOW) == expected
