"""Replay a batch's history by its present and, where asked, by proposed settings; publish what would have alerted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow
from prefect.states import Completed

from anomflow.backtest.run import Backtest, Options
from anomflow.errors import RunError
from flows.jobrun import Request, Run, find_timeout, open_run
from tasks.backtesting import Replayed, publish_backtest, read_past, replay_past
from tasks.effects import log_line
from tasks.history import load_feedback

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def backtest_stage(run: Run, options: Options) -> Backtest:
    """Read the rows of a batch and replay them; raises RunError where no metric can be judged."""
    past = read_past(run.library)
    result = replay_past(past, run.library, replace(options, feedback=load_feedback(run.library)))
    if result.failed and result.scores.is_empty():
        raise RunError(f"backtest: all metrics failed: {next(iter(result.failed.values()))}")
    return result


@flow(name="backtest", flow_run_name="backtest {batch}", timeout_seconds=find_timeout())
def backtest(
    batch: str,
    as_of: datetime | None = None,
    settings: dict[str, str] | None = None,
    metrics: str | None = None,
    days: int | None = None,
) -> State[None]:
    """Replay a batch's history (alerts of its newest ``days``); ``settings`` are proposed ones to compare with."""
    run = open_run(Request(batch, as_of, metrics=metrics))
    options = Options(run.as_of, days)
    present = backtest_stage(run, options)
    replayed = Replayed(present)
    if settings:
        replayed = Replayed(present, backtest_stage(open_run(Request(batch, run.as_of, settings, metrics=metrics)), options))
    publish_backtest(run.spec.name, replayed, run.spec.plot.plot_method)
    log_line(f"{run.spec.name} {replayed.text}")
    return Completed(message=replayed.text)
