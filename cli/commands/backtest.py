"""`backtest`: what would have alerted, had these settings watched this history."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.completion import complete_batches
from cli.options import Sets
from cli.output import Output, parse_overrides
from cli.times import parse_time


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)


def backtest(
    ctx: typer.Context,
    *,
    batch: Annotated[str | None, typer.Argument(metavar="BATCH", help="Name of the batch.", autocompletion=complete_batches)] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Replay the columns timestamp, value (and series) of a file instead.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=100_000, help="Tell of the newest N days; the rows before are learned from.")
    ] = None,
    sets: Sets = None,
    as_of: Annotated[str | None, typer.Option(metavar="TIME", help="Replay the rows up to this time (ISO 8601).")] = None,
    inject: Annotated[int, typer.Option(metavar="N", min=0, max=1000, help="Anomalies of each shape to inject; 0: none.")] = 20,
    processes: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Processes; the result is that of one.")] = 1,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write a page with charts as well.")] = None,
) -> None:
    """Replay history: alerts a week, the alerts themselves, what injected anomalies would be found; nothing is written or sent.

    With --set the present and the proposed settings stand side by side, with the alerts that appear and go.

    Example: anomflow backtest sales --days 30 --set alert_false_alarms_per_month=1
    Example: anomflow backtest --csv history.csv --json
    """
    from anomflow.backtest.run import Options  # noqa: PLC0415 - `--help` need not wait for it
    from cli.backtests import find_end, print_told, read_csv_past, read_past, replay, write_page  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    if (batch is None) == (csv is None):
        raise typer.BadParameter("name a batch, or a file by --csv", param_hint="BATCH")
    overrides, until = parse_overrides(sets or []), parse_time(as_of)
    settings = [{}, overrides] if overrides else [{}]
    if csv is None:
        until = until or datetime.now(UTC)
        pasts = [read_past(output, str(batch), given, until) for given in settings]
    else:
        pasts = [read_csv_past(csv, given) for given in settings]
    told = replay(pasts, Options(until or find_end(pasts[0]), days, inject, processes), quiet=output.as_json)
    print_told(output, told)
    if report is not None:
        write_page(report, told)
    raise typer.Exit(1 if told.failed else 0)
