"""Help: every command has an example, and none of it waits for large imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from cli.main import build_app

COMMANDS = sorted(
    name
    for name, command in typer.main.get_command(build_app()).commands.items()  # type: ignore[attr-defined]
    if any(parameter.param_type_name == "argument" for parameter in command.params)  # one without needs no example
)
SLOW = ("prefect", "polars", "numpy", "numba", "duckdb", "altair")
PROGRAM = f"""
import sys
from cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code
print([name for name in {SLOW} if name in sys.modules])
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_with_arguments_has_an_example(command: str):
    result = CliRunner().invoke(build_app(), [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: anomflow {command}" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["explain", "--help"], ["list", "--help"], ["query", "--help"]]
)
def test_help_imports_nothing_large(arguments: list[str]):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
