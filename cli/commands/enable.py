"""`enable` and `disable`: switch a batch on or off in its file; `enable --list`: what there is to switch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.batches import Batch
    from cli.output import Output


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(enable)
    app.command()(disable)


def enable(
    ctx: typer.Context,
    batch: Annotated[str | None, typer.Argument(metavar="BATCH", help="Name of the batch.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Tell which examples there are, and which batches are off.")] = False,
) -> None:
    """Switch a batch on, such as an example, and tell what it needs; the file keeps its comments and layout.

    Example: anomflow enable weather
    """
    output: Output = ctx.obj
    if listed or batch is None:
        if batch is not None or not listed:
            raise typer.BadParameter("name a batch, or give --list alone")
        _print_list(output)
        return
    _switch(output, batch, disabled=False)


def disable(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Name of the batch.")],
) -> None:
    """Switch a batch off; its rows and models stay.

    Example: anomflow disable weather
    """
    _switch(ctx.obj, batch, disabled=True)


def _switch(output: Output, name: str, *, disabled: bool) -> None:
    """Set the switch in the batch's file, where the batch is right with it; tell the state and what comes next."""
    from anomflow.batches import load_batch  # noqa: PLC0415 - `--help` need not wait for it
    from anomflow.batches.switching import KEY, write_switch  # noqa: PLC0415 - as above
    from anomflow.errors import AnomflowError  # noqa: PLC0415 - as above

    wanted = load_batch(output.metrics, name, output.environ, {KEY: str(disabled).lower()})
    is_set = load_batch(output.metrics, name, output.environ).spec.common.disable_batch
    path = wanted.path
    try:
        changed = is_set != disabled and write_switch(path, disabled=disabled)
    except OSError as error:
        raise AnomflowError(f"{path.as_posix()} cannot be written: {error.strerror}; nothing was changed") from error
    batch = load_batch(output.metrics, name, output.environ)
    if output.as_json:
        output.print_json({"batch": name, "path": path.as_posix(), "changed": changed, **_describe(batch, output.environ)})
    else:
        _print_result(batch, output, changed=changed)
    if batch.spec.common.disable_batch != disabled:
        if not output.as_json:
            typer.echo(f"error: {KEY} of {name} is overridden by {batch.origins[KEY]}; change it there", err=True)
        raise typer.Exit(1)


def _describe(batch: Batch, environ: Mapping[str, str]) -> dict[str, object]:
    """Return the state of a batch and what its runs need."""
    spec = batch.spec
    return {
        "disabled": spec.common.disable_batch,
        "database": spec.ingest.ingest_db or spec.common.db,
        "model_store": spec.models.model_path,
        "channels": list(spec.alert.alert_methods),
        "variables": {name: bool(environ.get(name)) for name in _find_variables(batch)},
    }


def _find_variables(batch: Batch) -> tuple[str, ...]:
    from anomflow.batches.functions import find_variables  # noqa: PLC0415 - as above

    function = batch.function
    return find_variables(function.text) if function is not None else ()


def _print_result(batch: Batch, output: Output, *, changed: bool) -> None:
    spec = batch.spec
    state = "off" if spec.common.disable_batch else "on"
    typer.echo(f"{batch.name} is {state}{'' if changed else ' already'}: {batch.path.as_posix()}")
    if spec.common.disable_batch:
        return
    typer.echo(f"database: {spec.ingest.ingest_db or spec.common.db}; models: {spec.models.model_path}")
    typer.echo(f"channels: {', '.join(spec.alert.alert_methods)}")
    for name in _find_variables(batch):
        typer.echo(f"environment: {name}, which is {'set' if output.environ.get(name) else 'not set'}")
    typer.echo(f"next: {_command(output)} run ingest {batch.name}, then {_command(output)} run pipeline {batch.name}")


def _command(output: Output) -> str:
    return "anomflow" if output.metrics == Path("metrics") else f"anomflow --metrics {output.metrics.as_posix()}"


def _print_list(output: Output) -> None:
    """Print the examples, and the other batches that are off, in the order of their names."""
    from anomflow.batches import load_batches  # noqa: PLC0415 - as above
    from anomflow.batches.switching import read_summary  # noqa: PLC0415 - as above

    examples = output.metrics / "examples"
    batches = load_batches(output.metrics, output.environ).batches.values()
    listed = [batch for batch in batches if batch.spec.common.disable_batch or batch.path.is_relative_to(examples)]
    facts = [
        {
            "batch": batch.name,
            "disabled": batch.spec.common.disable_batch,
            "path": batch.path.as_posix(),
            "variables": list(_find_variables(batch)),
            "summary": read_summary(batch.path.read_text(encoding="utf-8")),
        }
        for batch in listed
    ]
    if output.as_json:
        output.print_json({"batches": facts})
        return
    width = max((len(batch.name) for batch in listed), default=0)
    for fact in facts:
        typer.echo(f"{'off' if fact['disabled'] else 'on ':3}  {fact['batch']:{width}}  {fact['summary']}")
    if not facts:
        typer.echo(f"no batch of {output.metrics.as_posix()} is off, and there are no examples")
