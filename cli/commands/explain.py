"""`explain`: why a point did or did not alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.run import parse_time
from cli.output import Output

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.explain import Evidence
    from flows.jobrun import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(help="The batch.")],
    metric: Annotated[str, typer.Argument(help="The metric.")],
    timestamp: Annotated[str, typer.Argument(help="The point's time (ISO 8601, UTC unless it has a zone).")],
) -> None:
    """Say why a point did or did not alert: value, expected range, views, threshold, snooze, delivery.

    Example: anomflow explain sales orders 2026-01-31T12:00
    """
    from anomflow.explain import explain as explain_evidence  # noqa: PLC0415 - `--help` need not wait for it
    from flows.jobrun import Request, open_run  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    moment = parse_time(timestamp)
    assert moment is not None  # noqa: S101 - the argument is required
    run = open_run(Request(batch, metrics=str(output.metrics)))
    lines = explain_evidence(read_evidence(run, metric, moment))
    if output.as_json:
        output.print_json({"batch": batch, "metric": metric, "timestamp": moment, "explanation": dict(lines)})
        return
    width = max(len(label) for label, _ in lines)
    for label, sentence in lines:
        typer.echo(f"{label:<{width}}  {sentence}")


def read_evidence(run: Run, metric: str, moment: datetime) -> Evidence:
    """Read all rows that speak of a point."""
    from anomflow.explain import Evidence, read_score  # noqa: PLC0415 - as above
    from anomflow.frames import ALERTS, DELIVERIES, OBSERVATIONS  # noqa: PLC0415 - as above
    from tasks.warehouse import prepare_tables  # noqa: PLC0415 - as above

    key = run.spec.common.table_key
    prepare_tables(run.warehouse, key)
    with run.warehouse.reading() as session:
        point = (
            f"metric_batch = {session.literal(run.spec.name)} and metric_name = {session.literal(metric)}"
            f" and metric_timestamp = {session.literal(moment)}"
        )
        rows = session.read_table(OBSERVATIONS, OBSERVATIONS.name(key), point)
        alerts = session.read_table(ALERTS, ALERTS.name(key), point)
        messages = [session.literal(message) for message in alerts["message_id"].drop_nulls()]
        where = f"message_id in ({', '.join(messages)})" if messages else "1 = 0"
        deliveries = session.read_table(DELIVERIES, DELIVERIES.name(key), where)
    found: dict[str, Any] = {row["metric_type"]: row for row in rows.iter_rows(named=True)}
    value = found.get("metric", {}).get("metric_value")
    return Evidence(value, "metric" in found, read_score(found.get("score", {}).get("metadata")), alerts, deliveries)
