"""`blocks`: Prefect blocks from a file, which there are and who uses them, whether they load."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import Output
from cli.tables import escape_text, print_table

if TYPE_CHECKING:
    from blocks.applying import Applied

_HELP: Final = """Save Prefect blocks from a file, list them, check that they load.

Example: anomflow blocks apply blocks.yaml --dry-run
Example: anomflow blocks check email/oncall
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help=_HELP)
    group.command()(apply)
    group.command("list")(list_blocks)
    group.command()(check)
    app.add_typer(group, name="blocks")


def apply(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML of blocks: kind/name, and the fields of each.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
) -> None:
    """Save the blocks of a file at the Prefect API: created, updated or unchanged. Values come from the environment by ${NAME}.

    Names of fields are printed, values never. A block that is saved and not in the file is left alone.

    Example: anomflow blocks apply blocks.yaml
    """
    from blocks.applying import apply_file  # noqa: PLC0415 - `--help` need not wait for it
    from cli.prefect_api import configured_api  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    with configured_api(check=True):
        applied = apply_file(file, output.environ, dry_run=dry_run)
    _print_applied(output, applied, dry_run=dry_run)
    if applied.problem:
        raise typer.Exit(1)


def _print_applied(output: Output, applied: Applied, *, dry_run: bool) -> None:
    if output.as_json:
        changes = [asdict(change) for change in applied.changes]
        output.print_json({"dry_run": dry_run, "blocks": changes, "problem": applied.problem})
        return
    for change in applied.changes:
        would = "would be " if dry_run and change.action != "unchanged" else ""
        fields = f" ({', '.join(change.fields)})" if change.fields else ""
        typer.echo(escape_text(f"{would}{change.action}: {change.ref}{fields}"))
    if applied.problem:
        output.print_failure(applied.problem)


def list_blocks(ctx: typer.Context) -> None:
    """List the saved blocks and those that batches name: kind and name, what for, whether it is saved, which batches use it.

    Example: anomflow blocks list --json
    """
    from cli.block_uses import find_uses  # noqa: PLC0415 - `--help` need not wait for it
    from cli.prefect_api import configured_api  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    with configured_api(check=True):
        uses = find_uses(output)
    if output.as_json:
        output.print_json({"blocks": [asdict(use) for use in uses]})
        return
    print_table(("block", "is a", "state", "used by"), [[use.ref, use.role, use.state, ", ".join(use.batches) or None] for use in uses])


def check(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="BLOCK", help="Blocks as kind/name; none given means all that batches name or are ours.")
    ] = None,
) -> None:
    """Load blocks and say of each whether it is complete, and what is missing. Exit code 1: one is not.

    Example: anomflow blocks check
    Example: anomflow blocks check email/oncall duckdb/prod
    """
    from cli.block_uses import check_blocks  # noqa: PLC0415 - `--help` need not wait for it
    from cli.commands.doctor import report  # noqa: PLC0415 - as above
    from cli.prefect_api import configured_api  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    with configured_api(check=True):
        report(output, check_blocks(output, names or []))
