"""`tune`: settings for the alerts a week that somebody wants, with evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.options import BatchName
from cli.output import Output
from cli.times import parse_time


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tune)


def tune(
    ctx: typer.Context,
    *,
    batch: BatchName,
    alerts_a_week: Annotated[
        float, typer.Option(metavar="X", min=0.01, max=100_000, help="Alerts a week of the whole batch that are wanted, at most.")
    ] = 7.0,
    days: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=100_000, help="Count the alerts of the newest N days; the rows before are learned from."),
    ] = None,
    models: Annotated[bool, typer.Option("--models", help="Tell as well what the other model_selection would give; takes longer.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Set what is proposed in the batch's file; its comments stay.")] = False,
    as_of: Annotated[str | None, typer.Option(metavar="TIME", help="Replay the rows up to this time (ISO 8601).")] = None,
    inject: Annotated[int, typer.Option(metavar="N", min=0, max=1000, help="Anomalies of each shape to inject; 0: none.")] = 20,
    processes: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Processes; the result is that of one.")] = 1,
) -> None:
    """Propose a setting for the alerts a week that you want, with what it would have told and found; nothing is written without --write.

    Example: anomflow tune sales --alerts-a-week 3
    Example: anomflow tune sales --alerts-a-week 3 --write
    """
    from anomflow.backtest.run import Options  # noqa: PLC0415 - `--help` need not wait for it
    from cli.backtests import read_past  # noqa: PLC0415 - as above
    from cli.tuning import Wish, print_tuned, tune_past, write_proposal  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    until = parse_time(as_of) or datetime.now(UTC)
    past = read_past(output, batch, {}, until)
    tuned = tune_past(past, Options(until, days, inject, processes), Wish(alerts_a_week, models), quiet=output.as_json)
    written = write_proposal(output, tuned) if write else None
    print_tuned(output, tuned, written=written)
