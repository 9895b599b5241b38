"""Versions of models as rows: their names, their order, which may be dropped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from anomflow.frames import MODELS
from anomflow.versions import ObjectRef, Published, find_obsolete, read_versions, version_name, version_rows

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def version(hours: int, *objects: str, created: int = 0, name: str | None = None) -> pl.DataFrame:
    """Return the rows of a version that knows the rows of the first so many hours, a shard an object."""
    checkpoint = NOW + hours * HOUR
    shards = [Published(ObjectRef(shard, each, each), checkpoint, None, 1, "f") for shard, each in enumerate(objects)]
    facts = {"settings": "{}", "library_versions": "{}", "created": NOW + created * HOUR}
    return version_rows("shop", name or version_name("shop", checkpoint, [shard.ref for shard in shards]), shards, facts)


def test_a_version_is_named_by_what_it_is():
    refs = [ObjectRef(0, "aa", "aa"), ObjectRef(1, "bb", "bb")]
    name = version_name("shop", NOW, refs)
    assert name.startswith("20260131T120000-")
    assert name == version_name("shop", NOW, list(refs))
    others = {version_name("other", NOW, refs), version_name("shop", NOW + HOUR, refs), version_name("shop", NOW, refs[:1])}
    assert len(others | {name}) == 4


def test_rows_fit_the_table_one_a_shard():
    rows = version(0, "aa", "bb")
    assert rows.schema == pl.Schema(MODELS.columns)
    assert rows["shard"].to_list() == [0, 1]
    assert rows["version"].n_unique() == 1


def test_versions_come_newest_first_and_none_from_the_future():
    rows = pl.concat([version(1, "bb"), version(-1, "aa"), version(0, "cc", "dd").reverse()])
    found = read_versions(rows, NOW)
    assert [each.checkpoint for each in found] == [NOW, NOW - HOUR]
    assert found[0].objects == (ObjectRef(0, "cc", "cc"), ObjectRef(1, "dd", "dd"))


def test_of_two_versions_at_one_checkpoint_the_later_made_is_newer():
    rows = pl.concat([version(0, "new", created=2), version(0, "old", created=1)])
    assert [each.objects[0].name for each in read_versions(rows, NOW)] == ["new", "old"]


def test_no_rows_are_no_versions():
    assert read_versions(version(0, "aa").clear(), NOW) == []
    keys, objects = find_obsolete(version(0, "aa").clear(), 3)
    assert keys.is_empty()
    assert objects == []


def test_versions_beyond_those_kept_are_obsolete_with_all_their_shards():
    keys, objects = find_obsolete(pl.concat([version(2, "ee"), version(0, "aa", "bb"), version(1, "cc", "dd")]), 2)
    assert keys.columns == list(MODELS.key)
    assert keys["shard"].to_list() == [0, 1]
    assert objects == ["aa", "bb"]


def test_an_object_that_a_kept_version_uses_stays():
    keys, objects = find_obsolete(pl.concat([version(0, "same", "old"), version(1, "same", "new")]), 1)
    assert keys.height == 2
    assert objects == ["old"]
