"""`sync`: the deployments of the batches, as the file that `prefect deploy` reads."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import Output, describe_problem

if TYPE_CHECKING:
    from anomflow.deployments import DeployPlan, Load
    from anomflow.errors import Problem

TARGET: Final = Path("prefect.yaml")
SOURCE: Final = Path("deploy.yaml")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sync)


def sync(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 where prefect.yaml is stale.")] = False,
) -> None:
    """Write prefect.yaml from the batches and deploy.yaml, after checking all that `prefect deploy` would silently ignore.

    Settings in the environment (ANOMFLOW__...) are left out: the file is the same wherever it is made.

    Example: anomflow sync --check
    """
    from anomflow.deployments import render_prefect_yaml  # noqa: PLC0415 - `--help` need not wait for it
    from anomflow.deployments.counting import estimate_load  # noqa: PLC0415 - as above
    from cli.deployments import load_deployments, read_text  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    plan, deployments, warnings = load_deployments(output.metrics, SOURCE)
    text = render_prefect_yaml(deployments, plan.spec.project)
    is_stale = read_text(TARGET) != text
    if is_stale and not check:
        _write(text)
    _tell(output, plan, estimate_load(deployments), _describe(is_stale=is_stale, check=check), warnings)
    raise typer.Exit(1 if is_stale and check else 0)


def _write(text: str) -> None:
    from anomflow.errors import AnomflowError  # noqa: PLC0415 - as above
    from anomflow.files import write_file  # noqa: PLC0415 - as above

    try:
        write_file(TARGET, text.encode())
    except OSError as error:
        raise AnomflowError(f"{TARGET} cannot be written: {error.strerror}; nothing was changed") from error


def _describe(*, is_stale: bool, check: bool) -> str:
    if not is_stale:
        return "up to date"
    return "stale" if check else "written"


def _tell(output: Output, plan: DeployPlan, load: Load, state: str, warnings: tuple[Problem, ...]) -> None:
    if output.as_json:
        output.print_json(
            {
                "path": TARGET,
                "state": state,
                "project": plan.spec.project,
                "layout": plan.spec.layout,
                **asdict(load),
                "problems": [describe_problem(problem) for problem in warnings],
            }
        )
        return
    output.print_problems(warnings)
    hint = "; run anomflow sync" if state == "stale" else ""
    typer.echo(f"{TARGET}: {state}{hint}")
    typer.echo(load.text)
