"""What a batch's table holds: training rows, points that await a judgement, rows of charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from anomflow.frames import SCORE
from anomflow.ingestion import POINT
from anomflow.judging import IGNORED, find_awaiting, find_orphans, read_judged
from anomflow.ledger.feedback import read_feedback
from anomflow.reading import read_query
from anomflow.sections.common import FeatureSpec
from anomflow.series import build_series, series_frame
from anomflow.sight import build_sight, find_ignored
from tasks.effects import RETRIES, effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomflow.batches import Batch
    from anomflow.feedback import Feedback
    from anomflow.protocols import Session, Warehouse
    from anomflow.slicing import Part, Slice
    from anomflow.sql import Query


# How rows become what a detector sees, and the time zone of buckets.
Features = tuple[FeatureSpec, str]


@dataclass(frozen=True)
class Library:
    """A batch's rows in its warehouse; ``as_of`` bounds what is read (inclusive), ``part`` the metrics of a run."""

    warehouse: Warehouse
    batch: Batch
    as_of: datetime
    part: Part | None = None

    def query(self, session: Session, job: Query, **variables: object) -> pl.DataFrame:
        """Render, translate and run a job's template; raises FrameError where a column is missing."""
        rows = read_query(session, self.batch, job, variables)
        if self.part is None or variables.get("metrics") is not None:
            return rows
        # A query of the user's own need not know of metrics that are named.
        return rows.filter(pl.col("metric_name").is_in(list(filter(self.part.has, rows["metric_name"].unique()))))

    @property
    def oldest_row(self) -> datetime:
        """Return the time from which on rows are learned."""
        return self.as_of - timedelta(days=self.batch.spec.train.train_metric_timestamp_max_days_ago)


@effect("read history", retries=RETRIES)
def read_history(library: Library, names: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the rows that a model may learn from: of all metrics, or of those named."""
    max_n = 2 * library.batch.spec.train.train_max_n
    with library.warehouse.rows.reading() as session:
        return library.query(session, "train", since=library.oldest_row, until=library.as_of, max_n=max_n, metrics=names)


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


@dataclass(frozen=True)
class Look:
    """How to look for points that await a judgement: after which checkpoint no state knows the rows, by which features."""

    checkpoint: datetime
    features: Features


@effect("read points", retries=RETRIES)
def read_awaiting(library: Library, look: Look, work: Slice) -> Candidates:
    """Return the points of the score window that have no score of their present value, and all rows after the checkpoint."""
    window = find_window(library)
    features, names = look.features, work.names
    with library.warehouse.rows.reading() as session:
        if features[0].freq is None:
            rows = _read_unseen(library, session, look.checkpoint, work)
            points, scores = rows, rows.filter(pl.col("score_metadata").is_not_null()).rename({"score_metadata": "metadata"})
        else:
            since = find_start(library, look)
            rows = library.query(session, "score", since=since, until=library.as_of, checkpoint=since, metrics=names)
            scores = library.query(session, "scores", since=since, metrics=names)
            points = series_frame(build_series(rows, *features, library.as_of))
    points = points.select(*POINT, "metric_value").unique(POINT, keep="last", maintain_order=True)
    awaiting = find_awaiting(points.filter(pl.col("metric_timestamp") >= window), scores)
    return Candidates(awaiting, rows.select(*POINT, "metric_value"))


def find_window(library: Library) -> datetime:
    """Return the time from which on every row is to be judged."""
    return library.as_of - timedelta(days=library.batch.spec.score.score_metric_timestamp_max_days_ago)


def find_start(library: Library, look: Look) -> datetime:
    """Return the time from which on rows may be of a point that awaits a judgement, or unknown to a state."""
    # Buckets begin before the rows that they are looked for by: read far enough back that none is cut.
    return min(find_window(library), look.checkpoint) - 2 * (look.features[0].freq or timedelta(0))


def _read_unseen(library: Library, session: Session, checkpoint: datetime, work: Slice) -> pl.DataFrame:
    """Read all rows after the checkpoint, and those before it of the metrics that have not as many scores as rows there.

    Counting first spares a join of the whole window, a hundred times the memory, at every run that nothing came late to.
    """
    fresh = library.query(session, "score", since=checkpoint, until=library.as_of, checkpoint=checkpoint, metrics=work.names)
    if not work.uneven:
        return fresh
    window = find_window(library)
    earlier = library.query(session, "score", since=window, until=checkpoint, checkpoint=checkpoint, metrics=work.uneven)
    return pl.concat([earlier, fresh])


@effect("read scored metrics", retries=RETRIES)
def read_scored_names(library: Library) -> frozenset[str]:
    """Return the metrics that have any score."""
    with library.warehouse.rows.reading() as session:
        table = session.identifier(library.batch.spec.common.table_key)
        frame = session.read(
            f"select distinct metric_name from {table}"
            f" where metric_batch = {session.literal(library.batch.name)} and metric_type = {session.literal(SCORE)}",
        )
    return frozenset(frame["metric_name"])


@effect("read void scores", retries=RETRIES)
def read_void_points(library: Library, history: pl.DataFrame, names: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the points of the score window whose score judged another value than they have now, or that are gone.

    So are those that have no score because a period was ignored that is not any more. ``history`` has the rows of all
    metrics, or of those named.
    """
    spec = library.batch.spec
    sight = build_sight(spec)
    since = find_window(library)
    with library.warehouse.rows.reading() as session:
        scores = library.query(session, "scores", since=since, metrics=names)
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
    with library.warehouse.rows.reading() as session:
        return library.query(session, "plot", until=library.as_of, max_n=library.batch.spec.plot.plot_max_n, metrics=names)
