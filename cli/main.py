"""The entry of the `anomflow` command: global options, discovery of the commands, errors as lines.

Exit codes: 0 fine, 1 something failed, 2 wrong usage or wrong settings, 3 something needs attention (`status`, `doctor`, `plan --check`).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from cli import commands
from cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILED: Final = 1
WRONG_USAGE: Final = 2
_ANYWHERE: Final = {"--json": 0, "--metrics": 1}


def hoist_global_options(arguments: Iterable[str]) -> list[str]:
    """Move the global options to the front, so that they may stand anywhere (`anomflow validate --json`).

    >>> hoist_global_options(["validate", "sales", "--metrics", "m", "--json", "--", "--json"])
    ['--metrics', 'm', '--json', 'validate', 'sales', '--', '--json']
    """
    rest = list(arguments)
    front: list[str] = []
    back: list[str] = []
    while rest and rest[0] != "--":
        argument = rest.pop(0)
        if argument in _ANYWHERE:
            count = _ANYWHERE[argument]
            front += [argument, *rest[:count]]
            del rest[:count]
        elif argument.startswith("--metrics="):
            front.append(argument)
        else:
            back.append(argument)
    return [*front, *back, *rest]


class _Group(TyperGroup):
    """Print our own errors as lines and turn them into exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, hoist_global_options(args))

    def invoke(self, ctx: Any) -> Any:
        from anomflow.errors import AnomflowError, SettingsError  # noqa: PLC0415 - `--version` and `--help` need nothing of the core

        try:
            return super().invoke(ctx)
        except SettingsError as error:
            _output(ctx).print_problems(error.problems)
            raise typer.Exit(WRONG_USAGE) from error
        except AnomflowError as error:
            _output(ctx).print_error(error)
            raise typer.Exit(FAILED) from error


def _output(ctx: Any) -> Output:
    return ctx.obj if isinstance(ctx.obj, Output) else Output()


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and needed here only

        typer.echo(f"anomflow {version('anomflow')}")
        raise typer.Exit


def _set_globals(
    ctx: typer.Context,
    metrics: Annotated[Path, typer.Option("--metrics", metavar="DIR", help="The metrics folder.")] = Path("metrics"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,  # noqa: ARG001 - its callback acts
) -> None:
    """Watch metrics and tell when one looks wrong."""
    ctx.obj = Output(metrics=metrics, as_json=as_json)


def build_app() -> typer.Typer:
    """Build the application with the commands of every module in ``cli.commands``."""
    app = typer.Typer(
        name="anomflow",
        cls=_Group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=True,
        rich_markup_mode=None,
        epilog="--metrics and --json may stand anywhere. Exit codes: 0 fine, 1 something failed, 2 wrong usage or wrong settings,"
        " 3 something needs attention (status, doctor, plan --check).",
    )
    app.callback()(_set_globals)
    for module in sorted(found.name for found in pkgutil.iter_modules(commands.__path__)):
        importlib.import_module(f"{commands.__name__}.{module}").register(app)
    _keep_examples(app)
    return app


def _keep_examples(app: typer.Typer) -> None:
    """Let each example of a help text stand on a line of its own, as it is written."""
    for command in app.registered_commands:
        command.help = keep_lines(command.help or inspect.getdoc(command.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            group.typer_instance.info.help = keep_lines(group.typer_instance.info.help or "")
            _keep_examples(group.typer_instance)


def keep_lines(text: str) -> str:
    """Mark the examples of a help text as not to be wrapped."""
    return text.replace("\n\nExample:", "\n\n\b\nExample:", 1)


def main() -> None:
    """Run the command."""
    build_app()()


if __name__ == "__main__":
    main()
