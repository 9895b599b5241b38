"""A backtest of a batch's rows: judged in parts, in one process or several with the same result, then decided as a whole."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from anomflow.backtest.deciding import find_alerts, find_candidates
from anomflow.backtest.production import build_replay_spec
from anomflow.backtest.replay import ReplaySpec, find_times, replay_forgotten, replay_scores
from anomflow.backtest.trials import TRIALS, TrialSpec, choose_metrics, run_trials
from anomflow.decisions.names import is_scored, is_selected
from anomflow.feedback import NO_FEEDBACK
from anomflow.frames import UTC
from anomflow.series import SeriesBatch, drop_points, select_series
from anomflow.sight import build_seen, build_sight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from anomflow.batches import Batch
    from anomflow.decisions.candidate import Candidate
    from anomflow.feedback import Adjustment, Feedback
    from anomflow.sections.alerts import AlertSpec

PARTS: Final = 100  # that a batch is judged in, at most: the steps of a progress bar
DEFAULT_TRIALS: Final = 20


@dataclass(frozen=True)
class Options:
    """What to replay: rows up to ``until``, alerts of their newest ``days`` (None: all), anomalies to inject of each shape.

    ``feedback`` is today's, and acts on the whole past as a proposed setting does.
    """

    until: datetime
    days: float | None = None
    trials: int = DEFAULT_TRIALS
    processes: int = 1
    feedback: Feedback = NO_FEEDBACK


@dataclass(frozen=True, eq=False)
class Backtest:
    """What a batch would have done: scores of all rows (``frames.SCORES``), alerts and trials of the period, failed metrics.

    ``metrics`` has metric_name, first, last and rows of each; ``since`` and ``until`` are the ends of what was judged.
    """

    batch: Batch
    metrics: pl.DataFrame
    scores: pl.DataFrame
    alerts: pl.DataFrame
    trials: pl.DataFrame
    failed: Mapping[str, str]
    since: datetime | None
    until: datetime | None

    @property
    def opened(self) -> pl.DataFrame:
        """Return the alerts that would have been sent."""
        return self.alerts.filter(status="open")


@dataclass(frozen=True, eq=False)
class _Work:
    """The share of a process: only data."""

    series: SeriesBatch
    replay: ReplaySpec
    alert: AlertSpec
    places: Mapping[str, int]
    adjustments: Mapping[str, Adjustment]


@dataclass(frozen=True, eq=False)
class _Part:
    scores: pl.DataFrame
    failed: Mapping[str, str]
    trials: pl.DataFrame


def run_backtest(observations: pl.DataFrame, batch: Batch, options: Options, advance: Callable[[float], None] = lambda _: None) -> Backtest:
    """Replay rows (metric_name, metric_timestamp, metric_value; the last of a key counts) through the settings of a batch.

    ``advance`` is told the share that is done, from 0 to 1.
    """
    spec = batch.spec
    rows = observations.filter(pl.col("metric_name").is_not_null(), pl.col("metric_timestamp") <= options.until)
    built = build_seen(rows, build_sight(spec), options.until)
    whole = select_series(built, [name for name in built.names if is_scored(name, spec)])
    series = drop_points(whole, options.feedback.points)
    parts = list(_run_parts(_divide(series, batch, options), options.processes, advance))
    forgotten = replay_forgotten(whole, options.feedback.points, build_replay_spec(batch))
    scores = pl.concat([*(part.scores for part in parts), forgotten]).sort("metric_name", "metric_timestamp")
    judged, alerts = find_alerts(scores, rows, spec, options.feedback.adjustments)
    begin, end = _find_period(rows, options.days)
    return Backtest(
        batch=batch,
        metrics=find_times(whole),
        scores=judged,
        alerts=alerts.filter(pl.col("metric_timestamp") >= pl.lit(begin, UTC)),
        trials=pl.concat([*(part.trials for part in parts), pl.DataFrame(schema=TRIALS)]).sort("metric_name", "metric_timestamp", "shape"),
        failed={name: reason for part in parts for name, reason in part.failed.items()},
        since=begin,
        until=end,
    )


def _find_period(rows: pl.DataFrame, days: float | None) -> tuple[datetime | None, datetime | None]:
    first: Any = rows["metric_timestamp"].min()
    last: Any = rows["metric_timestamp"].max()
    return (first if days is None or last is None else max(first, last - timedelta(days=days))), last


def _divide(series: SeriesBatch, batch: Batch, options: Options) -> Sequence[_Work]:
    alert = batch.spec.alert
    told = [name for name in series.names if is_selected(name, alert.alert_include_metrics, alert.alert_exclude_metrics)]
    replay, places = build_replay_spec(batch), choose_metrics(select_series(series, told), options.trials)
    size = max(1, -(-len(series) // PARTS))
    groups = [series.names[at : at + size] for at in range(0, len(series), size)]
    return [
        _Work(select_series(series, names), replay, alert, *(_pick(part, names) for part in (places, options.feedback.adjustments)))
        for names in groups
    ]


def _pick(parts: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: parts[name] for name in names if name in parts}


def _run_parts(works: Sequence[_Work], processes: int, advance: Callable[[float], None]) -> Iterator[_Part]:
    if processes == 1 or len(works) < 2:  # noqa: PLR2004 - one piece of work has no company
        yield from _tell(map(_run_part, works), len(works), advance)
        return
    # A forked child would inherit the locks of threads that it has not.
    with ProcessPoolExecutor(min(processes, len(works)), multiprocessing.get_context("spawn")) as pool:
        yield from _tell(pool.map(_run_part, works), len(works), advance)


def _tell(parts: Iterable[_Part], total: int, advance: Callable[[float], None]) -> Iterator[_Part]:
    for done, part in enumerate(parts, 1):
        advance(done / total)
        yield part


def _run_part(work: _Work) -> _Part:
    scoring = replay_scores(work.series, work.replay)
    tried = select_series(work.series, [name for name in work.places if name not in scoring.failed])
    candidates = find_candidates(scoring.scores.filter(pl.col("metric_name").is_in(tried.names)), work.alert, work.adjustments)[1]
    trials = [run_trials(metric, _find_busy(metric[0], candidates), _build_trial(work, metric[0])) for metric in tried]
    return _Part(scoring.scores, scoring.failed, pl.concat([*trials, pl.DataFrame(schema=TRIALS)]))


def _build_trial(work: _Work, name: str) -> TrialSpec:
    return TrialSpec(work.replay, work.alert, work.places[name], adjustment=work.adjustments.get(name))


def _find_busy(name: str, candidates: Iterable[Candidate]) -> pl.Series:
    times = [candidate.metric_timestamp for candidate in candidates if candidate.metric_name == name]
    return pl.Series(times, dtype=UTC)
