"""What commands print: lines for people, JSON for programs, problems with their places."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomflow.errors import AnomflowError, Problem


@dataclass(frozen=True)
class Output:
    """The global options, and how to print by them; commands find it as ``ctx.obj``."""

    metrics: Path = Path("metrics")
    as_json: bool = False

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the environment that settings may come from."""
        return os.environ

    def print_json(self, value: object) -> None:
        """Print a value as JSON, times and paths as text."""
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))

    def print_problems(self, problems: Sequence[Problem]) -> None:
        """Print problems: one a line on the error stream, or as JSON."""
        if self.as_json:
            self.print_json({"problems": [describe_problem(problem) for problem in problems]})
            return
        for problem in problems:
            label, colour = ("warning", typer.colors.YELLOW) if problem.warning else ("error", typer.colors.RED)
            typer.echo(f"{typer.style(label, fg=colour)}: {problem}", err=True)

    def print_error(self, error: AnomflowError) -> None:
        """Print an error as one line on the error stream, or as JSON."""
        if self.as_json:
            self.print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
        else:
            typer.echo(f"{typer.style('error', fg=typer.colors.RED)}: {error}", err=True)


def describe_problem(problem: Problem) -> dict[str, object]:
    """Return a problem as JSON-ready facts."""
    return {
        "severity": "warning" if problem.warning else "error",
        "where": problem.where,
        "line": problem.line,
        "key": problem.key,
        "message": problem.message,
    }


def parse_overrides(assignments: Sequence[str]) -> dict[str, str]:
    """Read the values of ``--set``, each KEY=VALUE; the last of a key wins."""
    pairs = [assignment.partition("=") for assignment in assignments]
    for key, separator, _ in pairs:
        if not separator or not key.strip():
            raise typer.BadParameter(f"{key!r} is not KEY=VALUE", param_hint="--set")
    return {key.strip(): value for key, _, value in pairs}
