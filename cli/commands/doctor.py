"""`doctor`: does everything answer that the batches need, and may Anomflow do there what it must?"""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.options import BatchNames
from cli.output import Output
from cli.tables import escape_text, paint, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anomflow.doctor import Check

ATTENTION: Final = 3
_HEADINGS: Final = ("subject", "check", "state", "seconds", "found")
_COLOURS: Final = {"failed": typer.colors.RED, "warning": typer.colors.YELLOW}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    ctx: typer.Context,
    batches: BatchNames = None,
    send_test: Annotated[bool, typer.Option("--send-test", help="Send a message that is marked as a test over each channel.")] = False,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="Time limit of each check.")] = 30.0,
) -> None:
    """Look at everything that batches need: databases, model stores, channels, Prefect, kernels, functions.

    Tables and objects that it makes to try rights are removed. Exit code 1: something failed; 3: only warnings.

    Example: anomflow doctor
    Example: anomflow doctor sales --send-test
    """
    from cli.doctor import Wanted, examine  # noqa: PLC0415 - `--help` need not wait for it
    from cli.prefect_api import configured_api  # noqa: PLC0415 - as above
    from cli.reading import load_named  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    loaded, files = load_named(output, batches or [])
    names = list(dict.fromkeys(batches or sorted(files)))
    with configured_api():
        report(output, examine(loaded, files, names, Wanted(timeout, send_test)))


def report(output: Output, checks: Iterable[Check]) -> None:
    """Print checks, and exit as they are."""
    # A test message to the console would stand in front of the document.
    with redirect_stdout(sys.stderr) if output.as_json else nullcontext():
        found = list(checks)
    states = {check.state for check in found}
    if output.as_json:
        output.print_json({"ok": states <= {"ok"}, "checks": [asdict(check) for check in found]})
    else:
        print_checks(found)
    if "failed" in states:
        raise typer.Exit(1)
    if "warning" in states:
        raise typer.Exit(ATTENTION)


def print_checks(checks: list[Check]) -> None:
    """Print a table, and below it what is to be done."""
    print_table(_HEADINGS, [_cells(check) for check in checks])
    for check in checks:
        if check.state != "ok":
            label = paint(check.state, fg=_COLOURS[check.state])
            needed = f" (needed by {', '.join(check.batches)})" if check.batches else ""
            typer.echo(f"{label}: {escape_text(f'{check.subject}: {check.name}: {check.detail}{needed}')}")
    counts = {state: sum(check.state == state for check in checks) for state in ("ok", "warning", "failed")}
    typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()))


def _cells(check: Check) -> list[Any]:
    return [check.subject, check.name, check.state, f"{check.seconds:.2f}", check.detail]
