"""`plan`: what `apply` would do, and what the deployments will cost."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from cli.output import Output

ATTENTION: Final = 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)


def plan(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Exit code 3 where files and server differ.")] = False,
    only: Annotated[str | None, typer.Option("--only", metavar="BATCH", help="Look at the deployments of one batch.")] = None,
) -> None:
    """Show what differs between the batches with deploy.yaml and the Prefect server; change nothing.

    Everything is checked without the server first. Then: what is new, changed (field by field), removed, paused by hand,
    or changed on the server by others; the runs and API requests of a month, and the limits of Prefect Cloud that they touch.

    Example: anomflow plan --check
    """
    from anomflow.deployments.counting import estimate_load  # noqa: PLC0415 - `--help` need not wait for it
    from anomflow.deployments.limits import find_limits  # noqa: PLC0415 - as above
    from anomflow.deployments.pace import Pace  # noqa: PLC0415 - as above
    from cli.commands.sync import SOURCE  # noqa: PLC0415 - as above
    from cli.deploying.session import build_wish, draw  # noqa: PLC0415 - as above
    from cli.deployments import load_deployments  # noqa: PLC0415 - as above
    from cli.plans import Sums, describe_plan, estimate_requests, print_plan  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    spec, deployments, warnings = load_deployments(output.metrics, SOURCE)
    rate = spec.spec.requests_per_minute
    drawn = asyncio.run(draw(spec, build_wish(spec, deployments, only), Pace(rate)))
    requests = estimate_requests(drawn.comparison.steps, in_parts=drawn.in_parts)
    sums = Sums(estimate_load(deployments), find_limits(deployments, rate), requests)
    if output.as_json:
        output.print_json(describe_plan(drawn.comparison, sums, warnings))
    else:
        output.print_problems(warnings)
        print_plan(drawn.comparison, sums)
    differs = drawn.comparison.steps or drawn.comparison.conflicts
    raise typer.Exit(ATTENTION if check and differs else 0)
