"""`run`: jobs of a batch in this process."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.completion import complete_words
from cli.options import Sets
from cli.output import Output, parse_overrides
from cli.prefect_api import prefect_api, short_errors
from cli.times import parse_time

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

_PREFIX: Final = "Flow run encountered an exception: "


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="JOB... BATCH", help="The jobs, in the order to run them, then the batch.", autocompletion=complete_words),
    ],
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="Judge by this time (ISO 8601, UTC unless it has a zone), not by now.")
    ] = None,
    sets: Sets = None,
    send: Annotated[bool, typer.Option("--send", help="Let a run over a past time use every channel, not just file and console.")] = False,
) -> None:
    """Run jobs of a batch, one after the other: ingest, train, score, alert, plot, pipeline.

    Example: anomflow run ingest train score alert sales --as-of 2026-01-31T12:00
    """
    output: Output = ctx.obj
    jobs, batch = read_words(words)
    overrides = parse_overrides(sets or [])
    moment = parse_time(as_of)
    check_batch(output, batch, overrides)
    with prefect_api(quiet=output.as_json), short_errors():
        states = [
            (job, run_job(job, batch=batch, as_of=moment, settings=overrides, metrics=str(output.metrics), send=send)) for job in jobs
        ]
    if output.as_json:
        output.print_json({job: {"state": state.name, "message": state.message} for job, state in states})
    failed = [(job, state) for job, state in states if not state.is_completed()]
    if not output.as_json:
        for job, state in failed:
            output.print_failure(f"{job} {batch}: {render_failure(state)}")
    if failed:
        raise typer.Exit(1)


def render_failure(state: State[Any]) -> str:
    """Say why a run did not complete; the name of the state where nothing else is known."""
    return (state.message or state.name or str(state.type)).removeprefix(_PREFIX)


def read_words(words: list[str]) -> tuple[list[str], str]:
    """Split jobs from the batch, which comes last."""
    from anomflow.spec import JOBS  # noqa: PLC0415 - `--help` need not wait for it

    *jobs, batch = words
    unknown = [job for job in jobs if job not in JOBS]
    if unknown or not jobs:
        found = f"{unknown[0]!r} is no job" if unknown else "no job is given"
        raise typer.BadParameter(f"{found}; jobs are {', '.join(JOBS)}, and the batch comes last", param_hint="JOB... BATCH")
    return jobs, batch


def check_batch(output: Output, name: str, overrides: dict[str, str]) -> None:
    """Load a batch before anything starts, so that wrong settings cost nothing, and print its warnings."""
    from anomflow.batches import load_batch  # noqa: PLC0415 - as above

    batch = load_batch(output.metrics, name, output.environ, overrides)
    if not output.as_json:
        output.print_problems(batch.warnings)


def run_job(job: str, *, send: bool, **parameters: Any) -> State[Any]:
    """Run a job's flow and return the state that it ended in."""
    flow = getattr(importlib.import_module(f"flows.{job}"), job)
    extra = {"send": send} if job in {"alert", "pipeline"} else {}
    state: State[Any] = flow(**parameters, **extra, return_state=True)
    return state
