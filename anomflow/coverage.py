"""Does everything that should be judged get judged, and told? Counts of a window, and what of them needs attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.ledger.resolutions import find_channel, is_resolution
from anomflow.wording import render_count, render_duration, render_some

if TYPE_CHECKING:
    from anomflow.batches import Batch
    from anomflow.spec import BatchSpec, Job

# Of the window's length: how far before it the rows lie that tell a metric's cadence.
CADENCE_WINDOWS: Final = 7
_FEWEST: Final = 3  # rows from which a cadence can be told
_SHOWN: Final = 5
_SLACK: Final = timedelta(minutes=5)  # how long a run may take
REASONS: Final = ("cold_start", "not_finite", "excluded", "before_start", "ignored_period")
COUNTS: Final = ("expected", "ingested", "scored", "without_score", *REASONS, "judged")


@dataclass(frozen=True)
class Window:
    """The time that is looked at: ``since`` to ``until``, both inclusive, zoned UTC."""

    since: datetime
    until: datetime

    @property
    def cadence_since(self) -> datetime:
        """Return from when on rows tell the cadence of their metric."""
        return self.since - CADENCE_WINDOWS * (self.until - self.since)


@dataclass(frozen=True)
class Tempo:
    """How fast a batch's rows should become judgements: the width of its buckets, and how long a row may wait.

    ``waits`` is None where nothing scores.
    """

    freq: timedelta | None
    waits: timedelta | None


@dataclass(frozen=True, eq=False)
class Coverage:
    """What became of the rows of a batch in a window: counts, and the metrics with trouble, with words for it."""

    metrics: int
    counts: Mapping[str, int | None]
    silent: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    oldest_waiting: datetime | None = None


@dataclass(frozen=True, eq=False)
class Outbox:
    """The deliveries of a batch: by state, those that are still to be made (of ``read_pending``), those given up."""

    states: Mapping[str, int] = field(default_factory=dict)
    pending: Sequence[Mapping[str, Any]] = ()
    given_up: Sequence[Mapping[str, Any]] = ()

    @property
    def oldest(self) -> datetime | None:
        """Return when the oldest message was made that is not delivered yet."""
        return min((row["created"] for row in self.pending), default=None)


def find_interval(cron: str, now: datetime) -> timedelta:
    """Return the longest time between the next few times of a cron."""
    from anomflow.crons import open_cron  # noqa: PLC0415 - needed by `status` only

    times = open_cron(cron, now)
    found = [next(times) for _ in range(4)]
    return max(later - earlier for earlier, later in pairwise(found))


def find_patience(spec: BatchSpec, jobs: Sequence[Job], now: datetime) -> timedelta | None:
    """Return how long something may wait for jobs in a row, two runs of the slowest; None where one is switched off."""
    if any(spec.is_disabled(job) for job in jobs):
        return None
    crons = [str(getattr(getattr(spec, job), f"{job}_cron_schedule")) for job in jobs]
    return 2 * max(find_interval(cron, now) for cron in crons) + _SLACK


def build_tempo(batch: Batch, now: datetime) -> Tempo:
    """Read from a batch's settings how fast its rows should be judged."""
    spec = batch.spec
    waits = find_patience(spec, ["score"] if spec.ingest.disable_ingest else ["ingest", "score"], now)
    return Tempo(spec.features.freq, None if waits is None else waits + spec.features.freq_grace)


def build_coverage(rows: pl.DataFrame, window: Window, tempo: Tempo) -> Coverage:
    """Sum up the rows of the query ``coverage``, one a metric.

    A metric is expected to have as many rows as its cadence gives: the width of its buckets, else the mean distance of its
    rows in the seven windows before. One without any row is silent. A row waits when it has no score of its present value
    for longer than its jobs should need. Of bucketed batches, whose scores belong to buckets, ``judged`` is not known.
    """
    counted = rows.with_columns(_expect(window, tempo).alias("expected"))
    waiting = counted.filter(_is_waiting(window, tempo))
    counts: dict[str, int | None] = {name: int(counted[name].sum() or 0) for name in COUNTS}
    if tempo.freq is not None:
        counts["judged"] = None
    silent = counted.filter((pl.col("ingested") == 0) & (pl.col("expected") > 1))["metric_name"]
    since = pl.col("oldest_waiting") if tempo.freq is None else _find_unjudged(window, tempo.freq)
    oldest: Any = waiting.select(since.alias("since"))["since"].min()
    return Coverage(counted.height, counts, tuple(silent), tuple(waiting["metric_name"]), oldest)


def _expect(window: Window, tempo: Tempo) -> pl.Expr:
    """Count the rows that a metric's cadence gives from the window's start, or its own, to its end; those it has where it has none."""
    if tempo.freq is not None:
        return _expect_buckets(window, tempo.freq)
    start = pl.max_horizontal(pl.col("first_point"), _moment(window.since))
    length = (_moment(window.until) - start).dt.total_microseconds()
    own = (pl.col("last_earlier") - pl.col("first_point")).dt.total_microseconds() / (pl.col("earlier") - 1)
    is_known = (pl.col("earlier") >= _FEWEST) & (own > 0)
    return pl.when(is_known).then((length / own).floor()).otherwise(pl.col("ingested")).fill_null(0).cast(pl.Int64)


def _expect_buckets(window: Window, freq: timedelta) -> pl.Expr:
    """Count the whole buckets in the window from the one of the metric's first row on."""
    width = freq / timedelta(microseconds=1)
    begin = pl.max_horizontal(
        (_moment(window.since).dt.epoch("us") / width).ceil(),
        (pl.col("first_point").dt.epoch("us") / width).floor(),
    )
    end = (_moment(window.until).dt.epoch("us") / width).floor()
    return (end - begin).fill_null(0).clip(lower_bound=0).cast(pl.Int64)


def _moment(moment: datetime) -> pl.Expr:
    return pl.lit(moment, pl.Datetime("us", "UTC"))


def _is_waiting(window: Window, tempo: Tempo) -> pl.Expr:
    if tempo.waits is None:
        return pl.lit(value=False)
    due = _moment(window.until - tempo.waits)
    if tempo.freq is None:
        return (pl.col("oldest_waiting") <= due).fill_null(value=False)
    # The bucket after the last judged one has ended when its next neighbour has a row; its end was due.
    end = _find_unjudged(window, tempo.freq) + tempo.freq
    return ((pl.col("last_point") >= end) & (end <= due)).fill_null(value=False)


def _find_unjudged(window: Window, freq: timedelta) -> pl.Expr:
    """Return the start of the bucket after the last judged one."""
    return (pl.col("last_score") + freq).fill_null(_moment(window.since))


def find_troubles(coverage: Coverage, window: Window) -> list[str]:
    """Say what of a batch's coverage needs attention; nothing where all is well."""
    troubles = []
    if coverage.silent:
        troubles.append(_list(coverage.silent, f"without a new row since {_time(window.since)}"))
    if coverage.waiting and coverage.oldest_waiting is not None:
        age = render_duration(window.until - coverage.oldest_waiting)
        troubles.append(_list(coverage.waiting, f"with rows not judged for {age}"))
    return troubles


def find_standstill(overview: pl.DataFrame, window: Window) -> list[str]:
    """Say that a whole batch (rows of the query ``overview``) has no new row, though three of its fastest metric are overdue."""
    length = (pl.col("last_point") - pl.col("first_point")) / (pl.col("points") - 1)
    step: Any = overview.filter(pl.col("points") >= _FEWEST).select(length.min()).item()
    newest: Any = overview["last_point"].max()
    is_still = newest is not None and newest < window.since and window.until - newest > 3 * (step or timedelta(0))
    return [f"no new row since {_time(newest)}"] if is_still else []


def find_undelivered(outbox: Outbox, now: datetime, waits: timedelta | None) -> list[str]:
    """Say which deliveries need attention: given up, failed, or due and waiting longer than two runs of the job alert."""
    troubles = [f"{_deliver(row)} was given up: {row['error']}" for row in outbox.given_up]
    for row in outbox.pending:
        if row["error"]:
            troubles.append(f"{_deliver(row)} failed {row['attempts']} times, next attempt {_time(row['next_attempt_at'])}: {row['error']}")
        elif waits is not None and row["next_attempt_at"] < now - waits:
            troubles.append(f"{_deliver(row)} waits since {_time(row['created'])}; does the job alert run?")
    return troubles


def _deliver(row: Mapping[str, Any]) -> str:
    channel = str(row["channel"])
    what = "the resolution of message" if is_resolution(channel) else "the message"
    return f"{what} {str(row['message_id'])[:8]} by {find_channel(channel)}"


def _list(names: Sequence[str], state: str) -> str:
    return f"{render_count(len(names), 'metric')} {state}: {render_some(names, _SHOWN)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"
