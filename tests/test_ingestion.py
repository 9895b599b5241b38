"""What ingest does with rows, as tables: rounding, times, changes, keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from anomflow.frames import OBSERVATIONS
from anomflow.frames import UTC as TIMES
from anomflow.ingestion import build_incoming, feed_points, find_changes, metric_rows, quote_rejected, score_keys
from anomflow.sections.common import FeatureSpec
from anomflow.spec import BatchSpec

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def points(*rows: tuple[str, datetime, float | None]) -> pl.DataFrame:
    schema = {"metric_name": pl.String, "metric_timestamp": TIMES, "metric_value": pl.Float64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def settings(**ingest: object) -> BatchSpec:
    return BatchSpec.model_validate({"common": {"metric_batch": "shop"}, "ingest": ingest})


@pytest.mark.parametrize(
    ("decimals", "given", "kept"),
    [(4, 1.00004, 1.0), (0, 2.6, 3.0), (-2, 1249.0, 1200.0), (4, 1e308, 1e308), (12, -(2.0**60), -(2.0**60)), (4, None, None)],
)
def test_values_are_rounded_and_huge_ones_survive(decimals: int, given: float | None, kept: float | None):
    incoming = build_incoming(points(("a", NOW, given)), settings(ingest_metric_rounding=decimals), NOW, keep_future=False)
    assert incoming.rows["metric_value"].to_list() == [kept]


def test_rows_after_as_of_and_beyond_retention_are_left_out_and_counted():
    rows = points(
        ("a", NOW + timedelta(microseconds=1), 1.0), ("a", NOW, 2.0), ("a", NOW - timedelta(days=7), 3.0), ("a", NOW - 8 * 24 * HOUR, 4.0)
    )
    incoming = build_incoming(rows, settings(delete_after_n_days=7), NOW, keep_future=False)
    assert incoming.rows["metric_value"].to_list() == [2.0, 3.0]
    assert (incoming.future, incoming.outdated) == (1, 1)
    live = build_incoming(rows, settings(delete_after_n_days=7), NOW, keep_future=True)
    assert live.rows["metric_value"].to_list() == [1.0, 2.0, 3.0]
    assert (live.future, live.outdated) == (0, 1)


def test_only_new_and_changed_rows_are_written():
    existing = points(("a", NOW, 1.0), ("b", NOW, 1.0), ("c", NOW, None), ("d", NOW, None))
    incoming = points(("a", NOW, 1.0), ("b", NOW, 2.0), ("c", NOW, None), ("d", NOW, 3.0), ("e", NOW, 4.0))
    changes = find_changes(incoming, existing)
    assert changes.written["metric_name"].to_list() == ["b", "d", "e"]
    assert changes.changed["metric_name"].to_list() == ["b", "d"]
    assert changes.unchanged == 2


def test_duplicates_in_the_table_are_written_again_without_counting_as_changed():
    existing = points(("a", NOW, 1.0), ("a", NOW, 1.0))
    changes = find_changes(points(("a", NOW, 1.0)), existing)
    assert (changes.written.height, changes.changed.height, changes.unchanged) == (1, 0, 0)


def test_everything_is_new_to_an_empty_table():
    rows = points(("a", NOW, 1.0), ("b", NOW, None))
    changes = find_changes(rows, rows.clear())
    assert changes.written.equals(rows)
    assert changes.changed.is_empty()


def test_a_row_feeds_its_bucket_or_itself():
    row = points(("a", NOW + timedelta(minutes=59), 1.0))
    assert feed_points(row, FeatureSpec(), "UTC")["metric_timestamp"].to_list() == [NOW + timedelta(minutes=59)]
    assert feed_points(row, FeatureSpec(freq=HOUR), "UTC")["metric_timestamp"].to_list() == [NOW]
    days = feed_points(row, FeatureSpec(freq=24 * HOUR), "Europe/Berlin")
    assert days["metric_timestamp"].to_list() == [datetime(2026, 1, 30, 23, tzinfo=UTC)]


def test_rows_of_one_bucket_have_one_score_key():
    rows = points(("a", NOW, 1.0), ("a", NOW, 2.0), ("b", NOW, 1.0))
    keys = score_keys(rows, "it's")
    assert keys.columns == ["metric_batch", "metric_name", "metric_type", "metric_timestamp"]
    assert keys.rows() == [("it's", "a", "score", NOW), ("it's", "b", "score", NOW)]


def test_points_become_rows_of_the_table_with_or_without_metadata():
    bare = metric_rows(points(("a", NOW, 1.0)), "shop")
    assert bare.schema == pl.Schema(OBSERVATIONS.columns)
    assert bare["metadata"].to_list() == [None]
    told = metric_rows(points(("a", NOW, 1.0)).with_columns(metadata=pl.lit('{"unit": "kg"}')), "shop")
    assert told["metadata"].to_list() == ['{"unit": "kg"}']


def test_five_rejected_rows_are_quoted_whatever_their_number():
    rejected = pl.DataFrame({"row": range(1, 8), "metric_name": ["a\nb"] * 7, "reason": ["metric_timestamp is null"] * 7})
    quoted = quote_rejected(rejected)
    assert len(quoted) == 5
    assert quoted[0] == "rejected row 1; metric_name 'a\\nb'; reason 'metric_timestamp is null'"
