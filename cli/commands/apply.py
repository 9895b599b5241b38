"""`apply`: bring a Prefect server to what the files say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Output
from cli.tables import escape_text

if TYPE_CHECKING:
    from cli.deploying.applying import Outcome
    from cli.deploying.session import Drawn


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(apply)


def apply(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    only: Annotated[str | None, typer.Option("--only", metavar="BATCH", help="Apply the deployments of one batch.")] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", min=10, metavar="N", help="Requests in any minute at most, instead of deploy.yaml's.")
    ] = None,
) -> None:
    """Bring the Prefect server to what the batches and deploy.yaml say, as `plan` shows it.

    Work pools, block types, deployments and automations are made or changed first. Deployments of the project that no
    batch wants are removed last, and only when all else worked; nothing else is ever removed. What was paused by hand
    stays paused. After an interruption, run it again.

    Example: anomflow apply --yes
    """
    from anomflow.deployments.pace import Pace  # noqa: PLC0415 - `--help` need not wait for it
    from cli.commands.sync import SOURCE  # noqa: PLC0415 - as above
    from cli.deploying.session import build_wish, carry_out, draw  # noqa: PLC0415 - as above
    from cli.deployments import load_deployments  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    if output.as_json and not yes:
        raise typer.BadParameter("--json needs --yes: there is nobody to ask", param_hint="--json")
    spec, deployments, warnings = load_deployments(output.metrics, SOURCE)
    pace = Pace(rate or spec.spec.requests_per_minute)
    drawn = asyncio.run(draw(spec, build_wish(spec, deployments, only), pace))
    if not output.as_json:
        output.print_problems(warnings)
    if drawn.comparison.steps and not drawn.comparison.conflicts and not yes:
        _ask(drawn)
    outcome, requests = asyncio.run(carry_out(drawn, pace))
    _tell(output, replace(drawn, requests=drawn.requests + requests), outcome)
    raise typer.Exit(1 if outcome.failed or outcome.skipped else 0)


def _ask(drawn: Drawn) -> None:
    from cli.plans import print_steps  # noqa: PLC0415 - as above

    print_steps(drawn.comparison)
    typer.confirm("Apply this?", abort=True, err=True)


def _tell(output: Output, drawn: Drawn, outcome: Outcome) -> None:
    from cli.plans import count_steps, describe_step  # noqa: PLC0415 - as above

    if output.as_json:
        output.print_json(
            {
                "done": [describe_step(step) for step in outcome.done],
                "failed": [describe_step(step) | {"error": reason} for step, reason in outcome.failed],
                "skipped": [describe_step(step) for step in outcome.skipped],
                "paused": drawn.comparison.paused,
                "requests": drawn.requests,
            }
        )
        return
    for step, reason in sorted(outcome.failed, key=lambda item: item[0].name):
        output.print_failure(f"{step.kind} {step.name}: {reason}")
    kept = sum(step.action == "remove" for step in outcome.skipped)
    if left := len(outcome.skipped) - kept:
        output.print_failure(f"{left} were left as they are, since what they need could not be made; run apply again")
    if kept:
        output.print_failure(f"{kept} were not removed, since not all else worked; run apply again")
    for name in drawn.comparison.paused:
        typer.echo(f"paused by hand, left so: {escape_text(name)}")
    typer.echo(f"{count_steps(outcome.done) or 'no difference'} ({drawn.requests} API requests)")
