"""Count the rows of metrics, and cut what a run has to do into slices that bound its memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from anomflow.frames import METRIC, SCORE
from anomflow.judging import OURS
from anomflow.slicing import Slice, cut_slices
from tasks.effects import RETRIES, effect
from tasks.history import find_start, find_window

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.protocols import Session
    from tasks.history import Library, Look


def read_train_slices(library: Library) -> list[Slice]:
    """Return the slices in which a batch is learned, the shards one after another."""
    spec = library.batch.spec
    if spec.train.train_sql is not None:  # nobody knows which metrics it has, nor how many rows
        return [Slice()]
    return _cut(library, _count_history(library), spec.models.shards)


def read_score_slices(library: Library, look: Look, shards: int) -> list[Slice]:
    """Return the slices in which a batch is scored: of the metrics with rows that may await a judgement."""
    counts = _count_scores(library, look)
    if library.batch.spec.score.score_sql is not None:
        return [Slice(None, tuple(name for name in _find_uneven(counts) if library.part is None or library.part.has(name)))]
    is_bucketed = look.features[0].freq is not None
    uneven = () if is_bucketed else _find_uneven(counts)
    rows = dict(counts.select("metric_name", pl.col("points") + pl.col("fresh") if is_bucketed else pl.col("fresh")).iter_rows())
    # What came late is judged by a replay of the metric's history.
    history = _count_history(library) if uneven else {}
    rows |= {name: rows[name] + history.get(name, 0) for name in uneven}
    late = frozenset(uneven)
    slices = _cut(library, {name: count for name, count in rows.items() if count or name in late}, shards)
    return [Slice(work.names, uneven if work.names is None else tuple(name for name in work.names if name in late)) for work in slices]


def _cut(library: Library, rows: Mapping[str, int], shards: int) -> list[Slice]:
    part = library.part
    mine = {name: count for name, count in rows.items() if part is None or part.has(name)}
    slices = [Slice(names) for names in cut_slices(mine, shards, library.batch.spec.models.slice_rows)]
    return [Slice()] if part is None and len(slices) <= 1 else slices


@effect("count history", retries=RETRIES)
def _count_history(library: Library) -> dict[str, int]:
    with library.warehouse.rows.reading() as session:
        counts = session.read(
            f"select metric_name, count(*) as points from {_table(library, session)}"
            f" and metric_type = {session.literal(METRIC)} and {_between(session, library.oldest_row, library.as_of)} group by metric_name"
        )
    most = 2 * library.batch.spec.train.train_max_n
    return {name: min(int(count), most) for name, count in counts.select("metric_name", "points").iter_rows()}


@effect("count points", retries=RETRIES)
def _count_scores(library: Library, look: Look) -> pl.DataFrame:
    """Count by metric the rows and the scores of the window up to the checkpoint, and the rows after it."""
    with library.warehouse.rows.reading() as session:
        checkpoint = session.literal(look.checkpoint)
        known = f"metric_timestamp <= {checkpoint} and metric_timestamp >= {session.literal(find_window(library))}"
        rows, scores = f"metric_type = {session.literal(METRIC)}", f"metric_type = {session.literal(SCORE)}"
        counts = session.read(
            "select metric_name,"
            f" sum(case when {rows} and {known} then 1 else 0 end) as points,"
            f" sum(case when {scores} and metadata like {session.literal(OURS)} and {known} then 1 else 0 end) as scores,"
            f" sum(case when {rows} and metric_timestamp >= {checkpoint} then 1 else 0 end) as fresh"
            f" from {_table(library, session)} and {_between(session, find_start(library, look), library.as_of)} group by metric_name"
        )
    return counts.select("metric_name", pl.col("points", "scores", "fresh").cast(pl.Int64))


def _find_uneven(counts: pl.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(counts.filter(pl.col("points") != pl.col("scores"))["metric_name"]))


def _table(library: Library, session: Session) -> str:
    spec = library.batch.spec.common
    return f"{session.identifier(spec.table_key)} where metric_batch = {session.literal(spec.metric_batch)}"


def _between(session: Session, since: datetime, until: datetime) -> str:
    return f"metric_timestamp >= {session.literal(since)} and metric_timestamp <= {session.literal(until)}"
