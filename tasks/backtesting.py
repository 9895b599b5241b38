"""What a backtest reads and publishes: all rows of a batch, its progress, its result as artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from anomflow.backtest.past import WHOLE_PAST, require_rows
from anomflow.backtest.run import Backtest, Options, run_backtest
from anomflow.backtest.summary import build_histories, compare, sum_up
from anomflow.backtest.words import (
    HEADINGS,
    SHAPE_HEADINGS,
    describe_alerts,
    describe_both,
    describe_summary,
    describe_trials,
    order_alerts,
    render_markdown,
)
from anomflow.wording import render_count
from tasks.artifacts import artifact_key, escape_markdown, publish_charts
from tasks.effects import RETRIES, effect
from tasks.history import Library

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

LISTED: Final = 100
REPORTS: Final = 10  # of progress, in a run


@effect("read past", retries=RETRIES)
def read_past(library: Library) -> pl.DataFrame:
    """Return all rows of a batch up to the library's time; raises FrameError where there are none."""
    with library.warehouse.rows.reading() as session:
        rows = library.query(session, "train", until=library.as_of, **WHOLE_PAST)
    return require_rows(rows, library.batch.name)


@effect("replay")
def replay_past(rows: pl.DataFrame, library: Library, options: Options) -> Backtest:
    """Replay rows through the settings of a batch, and show how far it is."""
    return run_backtest(rows, library.batch, options, _build_progress(library.batch.name))


def _build_progress(batch: str) -> Callable[[float], None]:
    if FlowRunContext.get() is None:
        return lambda _: None
    shown = [0]
    artifact = create_progress_artifact(0.0, key=artifact_key("backtest-progress", batch), description="Share that is replayed")

    def advance(share: float) -> None:
        if int(share * REPORTS) > shown[0]:
            shown[0] = int(share * REPORTS)
            update_progress_artifact(artifact, progress=100.0 * share)  # type: ignore[arg-type]  # the stub knows a coroutine as well

    return advance


@dataclass(frozen=True, eq=False)
class Replayed:
    """A backtest by the present settings, and one by the proposed ones where there are any."""

    present: Backtest
    proposed: Backtest | None = None

    @property
    def text(self) -> str:
        """Return the result as one line."""
        failed = f"; {render_count(len(self.present.failed), 'metric')} failed" if self.present.failed else ""
        line = f"backtest: {render_count(self.present.opened.height, 'alert')}{failed}"
        if self.proposed is None:
            return line
        found = compare(self.present, self.proposed)
        return f"{line}; proposed: {self.proposed.opened.height} ({found.appear.height} appear, {found.go.height} go)"


@effect("publish backtest")
def publish_backtest(batch: str, replayed: Replayed, method: str) -> None:
    """Publish the numbers and alerts as one artifact and the charts as another; nothing outside of a run."""
    if FlowRunContext.get() is None:
        return
    document = render_markdown(_describe(replayed))
    create_markdown_artifact(document, key=artifact_key("backtest", batch), description=f"Backtest of {escape_markdown(batch)}")
    shown = replayed.proposed or replayed.present
    publish_charts(f"backtest-{batch}", build_histories(shown, shown.batch.spec.plot.plot_max_metrics), method)


def _describe(replayed: Replayed) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    present, proposed = replayed.present, replayed.proposed
    failed = ("Metrics that failed", ("metric", "reason"), _escape(list(present.failed.items())[:LISTED]))
    if proposed is None:
        summary = sum_up(present)
        return [
            ("Summary", ("", ""), _escape(describe_summary(summary))),
            ("Injected anomalies", SHAPE_HEADINGS, _escape(describe_trials(summary.trials))),
            ("Alerts", HEADINGS, _list(present.opened, present)),
            failed,
        ]
    found = compare(present, proposed)
    return [
        ("Summary", ("", "present", "proposed"), _escape(describe_both(sum_up(present), sum_up(proposed)))),
        ("Alerts that appear", HEADINGS, _list(found.appear, proposed)),
        ("Alerts that go", HEADINGS, _list(found.go, present)),
        failed,
    ]


def _list(alerts: pl.DataFrame, backtest: Backtest) -> list[list[str]]:
    return _escape(describe_alerts(order_alerts(alerts, LISTED), backtest.scores))


def _escape(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    texts = ([f"{cell:%Y-%m-%d %H:%M:%S}" if isinstance(cell, datetime) else str(cell) for cell in row] for row in rows)
    return [[escape_markdown(text) if text else "" for text in row] for row in texts]
