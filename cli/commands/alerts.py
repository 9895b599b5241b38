"""`alerts`: list them, show one with everything known of it, resolve them by hand."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from anomflow.wording import render_count
from cli.completion import complete_alerts, complete_batches
from cli.output import Output
from cli.tables import print_facts, print_table
from cli.times import parse_when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEADINGS: Final = ("alert", "batch", "metric", "when (UTC)", "kind", "status", "value", "expected", "reason")
_ID: Final = 8  # characters of an id that a table shows
Id = Annotated[str, typer.Argument(metavar="ALERT_ID", help="The alert's id or its beginning.", autocompletion=complete_alerts)]
Ids = Annotated[list[str], typer.Argument(metavar="ALERT_ID", help="The alerts' ids or their beginnings.", autocompletion=complete_alerts)]


class _Group(TyperGroup):
    """Let `alerts` list where no other of its commands is named: `alerts sales` is `alerts list sales`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=_Group, rich_markup_mode=None, help=_HELP)
    group.command("list")(list_alerts)
    group.command()(show)
    group.command()(resolve)
    app.add_typer(group, name="alerts")


_HELP: Final = """List alerts, show one, resolve them by hand. Without a command: list.

Example: anomflow alerts sales --status open
Example: anomflow alerts show 4f0c
Example: anomflow alerts resolve 4f0c --reason "load test"
"""


def list_alerts(  # noqa: PLR0917 - the words of a command are named by its user
    ctx: typer.Context,
    batch: Annotated[
        str | None, typer.Argument(metavar="BATCH", help="The batch; none given means all.", autocompletion=complete_batches)
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only those that are open, snoozed, late or resolved.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of a kind: anomaly, threshold, flatline, ...")] = None,
    metric: Annotated[str | None, typer.Option(metavar="GLOB", help="Only those of these metrics; * stands for any text.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From this time on: ISO 8601, or an age such as 36h.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many, the newest.")] = 50,
) -> None:
    """List alerts, the newest first.

    Example: anomflow alerts list sales --since 2d --metric 'orders*'
    """
    from cli.ledgers import Wanted, find_alerts  # noqa: PLC0415 - `--help` need not wait for it

    output: Output = ctx.obj
    now = datetime.now(UTC)
    check_status(status)
    wanted = Wanted(kind, status, metric, parse_when(since, now), parse_when(until, now))
    found = find_alerts(output, [batch] if batch else [], wanted)
    if output.as_json:
        broken = [{"batch": reading.name, "problem": reading.problem} for reading in found.broken]
        output.print_json({"alerts": found.rows[:limit], "total": len(found.rows), "problems": broken})
        return
    print_table(_HEADINGS, [_cells(row) for row in found.rows[:limit]])
    if len(found.rows) > limit:
        typer.echo(f"{limit} of {len(found.rows)} alerts; --limit shows more", err=True)
    for reading in found.broken:
        output.print_failure(f"{reading.name}: {reading.problem}")
    if batch and found.broken:
        raise typer.Exit(1)


def check_status(status: str | None) -> None:
    """Refuse a status that no alert can have."""
    from anomflow.ledger.states import AlertState  # noqa: PLC0415 - as above

    known = list(dict.fromkeys(state.status for state in AlertState if state is not AlertState.ABSENT))
    if status is not None and status not in known:
        raise typer.BadParameter(f"{status!r} is no status of alerts; they are {', '.join(known)}", param_hint="--status")


def _cells(row: Mapping[str, Any]) -> list[object]:
    from anomflow.wording import render_judged  # noqa: PLC0415 - as above

    text, expected = render_judged(row["metric_value"], row["expected_low"], row["expected_high"])
    value = None if row["metric_value"] is None else text
    shown = (row[key] for key in ("metric_name", "metric_timestamp", "kind", "status"))
    return [row["alert_id"][:_ID], row["metric_batch"], *shown, value, expected or None, row["reason"]]


def show(ctx: typer.Context, alert_id: Id) -> None:
    """Show everything that is known of an alert: how its point was judged, what became of its message.

    Example: anomflow alerts show 4f0c9a21
    """
    from anomflow.explain import explain  # noqa: PLC0415 - as above
    from cli.evidence import read_evidence  # noqa: PLC0415 - as above
    from cli.ledgers import find_alert  # noqa: PLC0415 - as above
    from cli.reading import read_batch  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    alert = find_alert(output, alert_id)
    name, moment = alert["metric_name"], alert["metric_timestamp"]
    evidence = read_batch(output, alert["metric_batch"], lambda ledgers: read_evidence(ledgers, name, moment))
    explanation = explain(evidence)
    of_message = evidence.deliveries.filter(evidence.deliveries["message_id"] == (alert["message_id"] or ""))
    if output.as_json:
        output.print_json({"alert": alert, "deliveries": of_message.to_dicts(), "explanation": dict(explanation)})
        return
    tags = ", ".join(f"{key}: {value}" for key, value in alert["tags"].items())
    print_facts((key.replace("_", " "), value) for key, value in {**alert, "tags": tags}.items())
    typer.echo()
    print_facts(explanation)


def resolve(
    ctx: typer.Context,
    alert_ids: Ids,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept with the alert.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Resolve open alerts: over, planned or understood. What was not tried yet is never sent; a pager's incident ends with its last alert.

    Example: anomflow alerts resolve 4f0c9a21 --reason "load test" --yes
    """
    from cli.ledgers import find_alert  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    found = {alert["alert_id"]: alert for alert in (find_alert(output, start) for start in alert_ids)}
    alerts = list(found.values())
    if not yes:
        confirm(alerts)
    now = datetime.now(UTC)
    results = [{"alert_id": alert["alert_id"], **resolve_one(output, alert, reason, now)} for alert in alerts]
    if output.as_json:
        output.print_json({"alerts": results})
    else:
        print_table(("alert", "metric", "result"), [[row["alert_id"][:_ID], row["metric"], row["result"]] for row in results])
    if not all(row["resolved"] for row in results):
        raise typer.Exit(1)


def confirm(alerts: Sequence[Mapping[str, Any]]) -> None:
    """Ask in a terminal; where nobody can answer, refuse."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to ask; say --yes", param_hint="--yes")
    print_table(_HEADINGS, [_cells(alert) for alert in alerts])
    typer.confirm(f"Resolve {render_count(len(alerts), 'alert')}?", abort=True)


def resolve_one(output: Output, alert: Mapping[str, Any], reason: str, now: datetime) -> dict[str, Any]:
    """Resolve an alert through the ledger's state machine and say what that means for its message."""
    from anomflow.batches import load_batch  # noqa: PLC0415 - as above
    from anomflow.ledger.alerts import resolve_by_hand  # noqa: PLC0415 - as above
    from anomflow.wording import clean_text  # noqa: PLC0415 - as above
    from cli.reading import open_warehouse  # noqa: PLC0415 - as above

    batch = load_batch(output.metrics, alert["metric_batch"], output.environ)
    why = clean_text(reason) if reason.strip() else ""
    with open_warehouse(batch).ledger.writing() as session:
        done = resolve_by_hand(session, batch.spec.common.table_key, alert["alert_id"], now, why=why)
    return {"metric": alert["metric_name"], "resolved": done, "result": _say(alert, done=done)}


def _say(alert: Mapping[str, Any], *, done: bool) -> str:
    if not done:
        return f"not changed: the alert is {alert['status']}, and only open ones are resolved"
    if alert["message_id"] is None:
        return "resolved; no message will be made"
    return "resolved; the next alert run cancels its message where no channel was tried with it yet, and resolves a pager's incident"
