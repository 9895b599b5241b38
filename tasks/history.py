"""What a batch's table holds: training rows, points that await a judgement, rows of charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from anomflow.frames import METRIC, SCORE
from anomflow.ingestion import POINT
from anomflow.judging import IGNORED, OURS, find_awaiting, find_orphans, read_judged
from anomflow.ledger.feedback import read_feedback
from anomflow.reading import read_query
from anomflow.series import build_series, series_frame
from anomflow.sight import build_sight, find_ignored
from anomflow.spec import FeatureSpec
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomflow.batches import Batch
    from anomflow.feedback import Feedback
    from anomflow.protocols import Session, Warehouse
    from anomflow.sql import Query


# How rows become what a detector sees, and the time zone of buckets.
Features = tuple[FeatureSpec, str]


@dataclass(frozen=True)
class Library:
    """A batch's rows in its warehouse; ``as_of`` bounds what is read (inclusive)."""

    warehouse: Warehouse
    batch: Batch
    as_of: datetime

    def query(self, session: Session, job: Query, **variables: object) -> pl.DataFrame:
        """Render, translate and run a job's template; raises FrameError where a column is missing."""
        return read_query(session, self.batch, job, variables)


@effect("read history", retries=RETRIES)
def read_history(library: Library, names: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the rows that a model may learn from: of all metrics, or of those named."""
    train = library.batch.spec.train
    since = library.as_of - timedelta(days=train.train_metric_timestamp_max_days_ago)
    with library.warehouse.reading() as session:
        return library.query(session, "train", since=since, until=library.as_of, max_n=2 * train.train_max_n, metrics=names)


@effect("read feedback", retries=RETRIES)
def load_feedback(library: Library) -> Feedback:
    """Return what people's feedback on the batch's alerts changes."""
    with library.warehouse.reading() as session:
        return read_feedback(session, library.batch.spec, library.as_of)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The points that await a judgement, and the rows that their metrics' states have not seen."""

    awaiting: pl.DataFrame
    rows: pl.DataFrame


@effect("read points", retries=RETRIES)
def read_awaiting(library: Library, checkpoint: datetime, features: Features) -> Candidates:
    """Return the points of the score window that have no score of their present value, and all rows after ``checkpoint``."""
    spec = library.batch.spec
    window = library.as_of - timedelta(days=spec.score.score_metric_timestamp_max_days_ago)
    # Buckets begin before the rows that they are looked for by: read far enough back that none is cut.
    since = min(window, checkpoint) - 2 * (features[0].freq or timedelta(0))
    with library.warehouse.reading() as session:
        if features[0].freq is None:
            rows = _read_unseen(library, session, window, checkpoint)
            points, scores = rows, rows.filter(pl.col("score_metadata").is_not_null()).rename({"score_metadata": "metadata"})
        else:
            rows = library.query(session, "score", since=since, until=library.as_of, checkpoint=since, metrics=None)
            scores = library.query(session, "scores", since=since)
            points = series_frame(build_series(rows, *features, library.as_of))
    points = points.select(*POINT, "metric_value").unique(POINT, keep="last", maintain_order=True)
    awaiting = find_awaiting(points.filter(pl.col("metric_timestamp") >= window), scores)
    return Candidates(awaiting, rows.select(*POINT, "metric_value"))


def _read_unseen(library: Library, session: Session, window: datetime, checkpoint: datetime) -> pl.DataFrame:
    """Read all rows after the checkpoint, and those before it of the metrics that have not as many scores as rows there.

    Counting first spares a join of the whole window, a hundred times the memory, at every run that nothing came late to.
    """
    fresh = library.query(session, "score", since=checkpoint, until=library.as_of, checkpoint=checkpoint, metrics=None)
    uneven = _find_uneven(library, session, window, checkpoint) if window < checkpoint else []
    if not uneven:
        return fresh
    earlier = library.query(session, "score", since=window, until=checkpoint, checkpoint=checkpoint, metrics=uneven)
    return pl.concat([earlier, fresh])


def _find_uneven(library: Library, session: Session, since: datetime, until: datetime) -> list[str]:
    counts = session.read(
        "select metric_name,"
        f" sum(case when metric_type = {session.literal(METRIC)} then 1 else 0 end) as points,"
        f" sum(case when metric_type = {session.literal(SCORE)} and metadata like {session.literal(OURS)} then 1 else 0 end) as scores"
        f" from {session.identifier(library.batch.spec.common.table_key)}"
        f" where metric_batch = {session.literal(library.batch.name)}"
        f" and metric_timestamp >= {session.literal(since)} and metric_timestamp <= {session.literal(until)}"
        " group by metric_name",
    )
    return sorted(counts.filter(pl.col("points") != pl.col("scores"))["metric_name"])


@effect("read scored metrics", retries=RETRIES)
def read_scored_names(library: Library) -> frozenset[str]:
    """Return the metrics that have any score."""
    with library.warehouse.reading() as session:
        table = session.identifier(library.batch.spec.common.table_key)
        frame = session.read(
            f"select distinct metric_name from {table}"
            f" where metric_batch = {session.literal(library.batch.name)} and metric_type = {session.literal(SCORE)}",
        )
    return frozenset(frame["metric_name"])


@effect("read void scores", retries=RETRIES)
def read_void_points(library: Library, history: pl.DataFrame) -> pl.DataFrame:
    """Return the points of the score window whose score judged another value than they have now, or that are gone.

    So are those that have no score because a period was ignored that is not any more.
    """
    spec = library.batch.spec
    sight = build_sight(spec)
    since = library.as_of - timedelta(days=spec.score.score_metric_timestamp_max_days_ago)
    with library.warehouse.reading() as session:
        scores = library.query(session, "scores", since=since)
    series = build_series(history, spec.features, spec.common.timezone, library.as_of) if spec.features.freq else None
    points = series_frame(series) if series else history.select(*POINT, "metric_value").unique(POINT, keep="last")
    judged = scores.select(*POINT, "metadata", *read_judged(pl.col("metadata"))).filter(
        pl.col("judged"), pl.col("metric_timestamp") <= library.as_of
    )
    present = points.filter(pl.col("metric_timestamp") >= since).join(judged.select(POINT), on=POINT, how="semi")
    was_ignored = judged.filter(pl.col("no_score_because") == IGNORED)
    seen_again = was_ignored.filter(find_ignored(was_ignored, sight).is_null()).select(POINT)
    void = pl.concat([find_awaiting(present, judged.select(*POINT, "metadata")).select(POINT), seen_again])
    # The starts of buckets need not be times of rows, and buckets are not counted.
    return (void if spec.features.freq else pl.concat([void, find_orphans(judged, history)])).unique(maintain_order=True)


@effect("read chart rows", retries=RETRIES)
def read_chart_rows(library: Library, names: Sequence[str] | None) -> pl.DataFrame:
    """Return the newest rows and scores of metrics (None: all), for charts."""
    with library.warehouse.reading() as session:
        return library.query(session, "plot", until=library.as_of, max_n=library.batch.spec.plot.plot_max_n, metrics=names)
