"""The page of the commands, made from what their `--help` says: `PYTHONPATH=. python -m cli.reference` writes it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from cli.main import build_app

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "cli.md"
_MARK: Final = "<!-- commands: written by `python -m cli.reference` -->"


def build_page(text: str) -> str:
    """Return the page with the commands below its mark written anew; what stands above it is kept."""
    head, _, _ = text.partition(_MARK)
    app: Any = typer.main.get_command(build_app())
    return "\n".join([f"{head}{_MARK}", *_describe_group("anomflow", app)]) + "\n"


def _describe_group(path: str, group: Any) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _describe_group(f"{path} {name}", command)
        else:
            yield from _describe_command(f"{path} {name}", command)


def _describe_command(path: str, command: Any) -> Iterator[str]:
    text, _, examples = command.help.partition("\b\n")
    yield f"\n## `{path}`\n\n{' '.join(text.split())}\n"
    if examples:
        lines = (line.removeprefix("Example: ") for line in examples.strip().splitlines())
        yield "\n".join(["```console", *(f"$ {line}" for line in lines), "```", ""])
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    if shown:
        yield "| | |\n|---|---|"
        yield from (f"| `{_name(parameter)}` | {parameter.help}{_default(parameter)} |" for parameter in shown)


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"{parameter.metavar or parameter.name.upper()}"
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return f"{', '.join(parameter.opts)}{value}"


def _default(parameter: Any) -> str:
    is_shown = parameter.default not in (None, False, "", ()) and parameter.param_type_name == "option"
    return f" Default: `{parameter.default}`." if is_shown else ""


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with ``--check`` only tell whether it is what the help says."""
    before = PAGE.read_text(encoding="utf-8")
    text = build_page(before)
    if "--check" in arguments:
        if text != before:
            sys.stderr.write(f"{PAGE.relative_to(ROOT)} is not what the help of the commands says; write it: python -m cli.reference\n")
        return int(text != before)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}: written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
