"""`pause` and `resume`: stop and start a batch's schedules on the server, whatever the files say."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.output import Output

Batch = Annotated[str, typer.Argument(help="Batch whose deployments are meant.")]
JobOption = Annotated[str | None, typer.Option("--job", help="This job only.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(ctx: typer.Context, batch: Batch, job: JobOption = None) -> None:
    """Pause the runs of a batch on the Prefect server: its schedules, and the triggers that start its jobs.

    `apply` leaves them paused, `plan` shows them, until `resume`. To pause for good, set disable_batch in the batch.

    Example: anomflow pause sales --job train
    """
    _switch(ctx.obj, batch, job, paused=True)


def resume(ctx: typer.Context, batch: Batch, job: JobOption = None) -> None:
    """Resume the runs of a batch that were paused on the Prefect server; what the files switch off stays off.

    Example: anomflow resume sales
    """
    _switch(ctx.obj, batch, job, paused=False)


def _switch(output: Output, batch: str, job: str | None, *, paused: bool) -> None:
    from anomflow.deploy_spec import DEPLOY_JOBS  # noqa: PLC0415 - `--help` need not wait for it
    from cli.commands.sync import SOURCE  # noqa: PLC0415 - as above
    from cli.deploying.switching import Target, switch  # noqa: PLC0415 - as above
    from cli.deployments import load_deployments  # noqa: PLC0415 - as above

    if job is not None and job not in DEPLOY_JOBS:
        raise typer.BadParameter(f"{job!r} is none of {', '.join(DEPLOY_JOBS)}", param_hint="--job")
    spec, deployments, _ = load_deployments(output.metrics, SOURCE)
    names = asyncio.run(switch(spec, deployments, Target(batch, job, paused)))
    if output.as_json:
        output.print_json({"batch": batch, "paused": paused, "deployments": names})
    else:
        typer.echo(f"{'paused' if paused else 'resumed'}: {', '.join(names)}")
