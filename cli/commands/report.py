"""`report`: charts and alerts of batches on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import BatchNames
from cli.output import Output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    ctx: typer.Context,
    batches: BatchNames = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The page's file; report.html of ANOMFLOW_HOME by default.")
    ] = None,
) -> None:
    """Write a page with the charts and alerts of batches; it is interactive and needs no network.

    Example: anomflow report sales --to sales.html
    """
    from anomflow.batches import load_batches  # noqa: PLC0415 - `--help` need not wait for it
    from blocks.home import find_home  # noqa: PLC0415 - as above
    from cli.stories import read_story, write_report  # noqa: PLC0415 - as above
    from flows.jobrun import Request  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    names = batches or sorted(load_batches(output.metrics, output.environ).enabled)
    path = to or find_home() / "report.html"
    write_report(path, [read_story(Request(name, metrics=str(output.metrics))) for name in names])
    if output.as_json:
        output.print_json({"report": path, "batches": names})
    else:
        typer.echo(f"{path}: {', '.join(names) or 'no batches'}")
