"""What commands print: lines for people, JSON for programs, problems with their places."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.tables import escape_lines, escape_text, paint

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
        """Print a value as one JSON document: times as ISO 8601 in UTC, other things as text, numbers that are not finite as null."""
        typer.echo(render_json(value))

    def print_problems(self, problems: Sequence[Problem]) -> None:
        """Print problems: one a line on the error stream, or as JSON."""
        if self.as_json:
            self.print_json({"problems": [describe_problem(problem) for problem in problems]})
            return
        for problem in problems:
            label, colour = ("warning", typer.colors.YELLOW) if problem.warning else ("error", typer.colors.RED)
            typer.echo(f"{paint(label, fg=colour)}: {problem}", err=True)

    def print_error(self, error: AnomflowError) -> None:
        """Print an error as one line on the error stream, or as JSON."""
        if self.as_json:
            self.print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
        else:
            self.print_failure(str(error))

    def print_failure(self, text: str) -> None:
        """Print what did not work as one line on the error stream."""
        typer.echo(f"{paint('error', fg=typer.colors.RED)}: {escape_lines(text)}", err=True)


# Characters that JSON allows and that steer a terminal or cannot be written as UTF-8: they stand inside texts only.
_UNSAFE = re.compile("[\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def render_json(value: object) -> str:
    """Write a value as JSON that is safe to show in a terminal."""
    text = json.dumps(_clean(value), indent=2, ensure_ascii=False, default=_describe, allow_nan=False)
    return _UNSAFE.sub(lambda match: escape_text(match[0]), text)


def _clean(value: Any) -> Any:
    """Turn numbers that are not finite, which JSON has not, into null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _clean(inner) for key, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list | tuple) else value


def _describe(value: object) -> str:
    return render_moment(value) if isinstance(value, datetime) else str(value)


def render_moment(moment: datetime) -> str:
    """Write a time as ISO 8601, in UTC where it has a zone (``2026-01-31T12:00:00Z``)."""
    return moment.isoformat() if moment.tzinfo is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


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
