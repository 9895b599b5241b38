"""Changes of a batch: read its recent rows, find where levels changed, record them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from anomflow.decisions.candidate import CHANGE, Judgements
from anomflow.decisions.change import Window, find_changes_of_level
from anomflow.ledger.alerts import Recorded, record_judgements
from anomflow.sight import build_seen, build_sight
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    from anomflow.series import SeriesBatch
    from tasks.history import Library


@effect("read recent rows", retries=RETRIES)
def read_recent(library: Library) -> SeriesBatch:
    """Return the rows, or the complete buckets, in which changes are looked for."""
    spec = library.batch.spec
    since = library.as_of - timedelta(days=spec.change.change_metric_timestamp_max_days_ago)
    with library.warehouse.rows.reading() as session:
        rows = library.query(session, "change", since=since, until=library.as_of, max_n=spec.change.change_max_n)
    return build_seen(rows, build_sight(spec), library.as_of)


def judge_changes(library: Library, series: SeriesBatch) -> Judgements:
    """Find the changes of the rows that may still be judged."""
    spec = library.batch.spec
    since = library.as_of - timedelta(days=spec.score.score_metric_timestamp_max_days_ago)
    calm, candidates = find_changes_of_level(series, spec.change, Window(since, spec.alert.alert_max_age))
    return Judgements(spec.name, CHANGE, library.as_of, calm, candidates, tags=spec.common.metric_tags)


@effect("write changes", retries=RETRIES)
def write_changes(library: Library, judgements: Judgements) -> Recorded:
    """Record the changes that are new, and withdraw those that corrected values disprove."""
    with library.warehouse.ledger.writing() as session:
        return record_judgements(session, library.batch.spec.common.table_key, judgements)
