"""What became of a batch, and the page that shows it for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anomflow.histories import build_histories, rank_histories
from flows.jobrun import Request, Run, open_run
from tasks.composing import read_chart_alerts
from tasks.history import read_chart_rows
from tasks.warehouse import prepare_tables, read_alerts

if TYPE_CHECKING:
    import polars as pl

POINTS = 3000  # of a metric's chart


@dataclass(frozen=True, eq=False)
class Story:
    """A batch, its alerts (oldest first), the histories of its metrics."""

    batch: str
    alerts: pl.DataFrame
    histories: Mapping[str, pl.DataFrame]
    remark: str = ""


def read_story(request: Request) -> Story:
    """Read what became of a batch up to the request's time."""
    run: Run = open_run(Request(request.batch, request.as_of, {**request.settings, "plot_max_n": str(POINTS)}, metrics=request.metrics))
    prepare_tables(run.warehouse, run.spec.common.table_key)
    histories = build_histories(read_chart_rows(run.library, None), read_chart_alerts(run.library))
    return Story(request.batch, read_alerts(run.target), histories)


def write_report(path: Path, stories: Sequence[Story]) -> None:
    """Write the page with the charts and alerts of batches."""
    from anomflow.charts import build_chart  # noqa: PLC0415 - draws with a JavaScript engine
    from anomflow.report import ReportSection, build_report  # noqa: PLC0415 - as above

    sections = [
        ReportSection(
            story.batch,
            [build_chart(name, story.histories[name]) for name in rank_histories(story.histories)],
            story.alerts,
            story.remark,
        )
        for story in stories
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(build_report(sections, datetime.now(UTC).replace(microsecond=0)), encoding="utf-8")
