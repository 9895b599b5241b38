"""`validate` and `show`: are the settings right, what are they, where does each come from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from anomflow.wording import render_count
from cli.options import BatchName, BatchNames, Sets
from cli.output import Output, describe_problem, parse_overrides

if TYPE_CHECKING:
    from anomflow.batches import Batch, Loaded
    from anomflow.errors import Problem


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(validate)
    app.command()(show)


def validate(
    ctx: typer.Context,
    batches: BatchNames = None,
    sets: Sets = None,
) -> None:
    """Check the settings of all batches (or of some) and report everything that is wrong with them.

    Example: anomflow validate sales --set train_min_n=50
    """
    from anomflow.batches import load_batches  # noqa: PLC0415 - `--help` need not wait for it

    output: Output = ctx.obj
    overrides = parse_overrides(sets or [])
    loaded = _load_some(output, batches, overrides) if batches else load_batches(output.metrics, output.environ, overrides)
    loaded = _add_doubts(loaded)
    errors = len(loaded.errors)
    if output.as_json:
        names = {name: {"path": batch.path.as_posix(), "disabled": name not in loaded.enabled} for name, batch in loaded.batches.items()}
        output.print_json({"batches": names, "problems": [describe_problem(problem) for problem in loaded.problems]})
    else:
        output.print_problems(loaded.problems)
        warnings = len(loaded.problems) - errors
        fine = render_count(len(loaded.batches), "batch", "batches")
        typer.echo(f"{fine} fine, {render_count(errors, 'error')}, {render_count(warnings, 'warning')}")
    raise typer.Exit(2 if errors else 0)


def _add_doubts(loaded: Loaded) -> Loaded:
    """Add what the loader cannot know: kinds of blocks that there are none of, queries that do not parse."""
    from anomflow.batches import find_doubts  # noqa: PLC0415 - as above
    from blocks.kinds import read_kinds  # noqa: PLC0415 - as above

    kinds = read_kinds()
    doubts = [problem for batch in loaded.enabled.values() for problem in find_doubts(batch, kinds)]
    return replace(loaded, problems=(*loaded.problems, *dict.fromkeys(doubts)))


def _load_some(output: Output, names: list[str], overrides: dict[str, str]) -> Loaded:
    from anomflow.batches import Loaded, load_batch  # noqa: PLC0415 - as above
    from anomflow.errors import SettingsError  # noqa: PLC0415 - as above

    batches: dict[str, Batch] = {}
    problems: list[Problem] = []
    for name in names:
        try:
            batches[name] = load_batch(output.metrics, name, output.environ, overrides)
            problems += batches[name].warnings
        except SettingsError as error:
            problems += error.problems
    return Loaded(batches, tuple(dict.fromkeys(problems)))


def show(
    ctx: typer.Context,
    batch: BatchName,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    sets: Sets = None,
) -> None:
    """Print the effective settings of a batch as YAML.

    Example: anomflow show sales --origin
    """
    from anomflow.batches import load_batch  # noqa: PLC0415 - `--help` need not wait for it

    output: Output = ctx.obj
    loaded = load_batch(output.metrics, batch, output.environ, parse_overrides(sets or []))
    if output.as_json:
        output.print_json(_describe(loaded))
        return
    output.print_problems(loaded.warnings)
    for line in _format(loaded, origin=origin):
        typer.echo(line)


def _describe(batch: Batch) -> dict[str, object]:
    from anomflow.reference import plain  # noqa: PLC0415 - as above

    values = {key: {"value": plain(value), "origin": str(batch.origins[key])} for key, value in batch.values().items()}
    warnings = [describe_problem(problem) for problem in batch.warnings]
    return {"batch": batch.name, "path": batch.path.as_posix(), "settings": values, "problems": warnings}


def _format(batch: Batch, *, origin: bool) -> list[str]:
    """Write the settings under a comment for each section; an origin is a comment above or behind its value."""
    from anomflow.reference import to_yaml  # noqa: PLC0415 - as above
    from anomflow.spec import SECTIONS, owners  # noqa: PLC0415 - as above

    lines: list[str] = []
    for section, model in SECTIONS.items():
        lines += ["", f"# {section}"]
        for key in (key for key in model.model_fields if owners()[key] == section):
            text = to_yaml(key, batch.value(key))
            single = "\n" not in text
            place = f"# {', '.join(str(source) for source in batch.sources(key))}"
            lines += [f"{text}  {place}" if single else f"{place}\n{text}"] if origin else [text]
    return lines[1:]
