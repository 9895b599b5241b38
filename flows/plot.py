"""Publish charts of a batch's metrics as one Prefect artifact."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow

from anomflow.histories import build_histories, rank_histories
from flows.jobrun import Request, Run, find_timeout, open_run
from flows.outcomes import Outcome, completed, finish, skipped
from tasks.artifacts import publish_charts
from tasks.composing import read_chart_alerts
from tasks.history import read_chart_rows
from tasks.warehouse import prepare_tables

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def plot_stage(run: Run) -> Outcome:
    """Read the newest rows, draw the metrics with the highest recent scores first, publish."""
    plot = run.spec.plot
    if run.spec.is_disabled("plot"):
        return skipped("plot")
    prepare_tables(run.warehouse, run.spec.common.table_key)
    histories = build_histories(read_chart_rows(run.library, None), read_chart_alerts(run.library))
    shown = rank_histories(histories)[: plot.plot_max_metrics]
    published = publish_charts(run.spec.name, {name: histories[name] for name in shown}, plot.plot_method)
    return finish(run, Outcome("plot", {"metrics": len(histories), "charts": published}))


@flow(name="plot", flow_run_name="plot {batch}", timeout_seconds=find_timeout())
def plot(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
) -> State[None]:
    """Publish charts of a batch's metrics."""
    return completed(plot_stage(open_run(Request(batch, as_of, settings or {}, metrics=metrics))))
