"""`explain`: why a point did or did not alert."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.evidence import read_evidence
from cli.options import BatchName
from cli.output import Output
from cli.tables import print_facts
from cli.times import parse_time


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    ctx: typer.Context,
    batch: BatchName,
    metric: Annotated[str, typer.Argument(help="The metric.")],
    timestamp: Annotated[str, typer.Argument(help="The point's time (ISO 8601, UTC unless it has a zone).")],
) -> None:
    """Say why a point did or did not alert: value, expected range, views, threshold, snooze, delivery.

    Example: anomflow explain sales orders 2026-01-31T12:00
    """
    from anomflow.explain import explain as explain_evidence  # noqa: PLC0415 - `--help` need not wait for it
    from cli.reading import read_batch  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    moment = parse_time(timestamp)
    assert moment is not None  # noqa: S101 - the argument is required
    lines = explain_evidence(read_batch(output, batch, lambda ledgers: read_evidence(ledgers, metric, moment)))
    if output.as_json:
        output.print_json({"batch": batch, "metric": metric, "timestamp": moment, "explanation": dict(lines)})
        return
    print_facts(lines)
