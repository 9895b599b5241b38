"""How the result of an import is printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from anomflow.wording import render_count
from cli.output import Output, describe_problem

if TYPE_CHECKING:
    from anomflow.errors import Problem
    from anomflow.importing import Note

_SHOWN: Final = 6


@dataclass(frozen=True)
class Result:
    """What an import did to each file, what it tells, and what is wrong with the batches as they are now."""

    files: Mapping[str, str]
    notes: tuple[Note, ...]
    problems: tuple[Problem, ...]
    batches: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Tell whether everything came over and loads."""
        return not any(note.level == "failed" for note in self.notes) and all(problem.warning for problem in self.problems)


def print_result(result: Result, output: Output, *, dry_run: bool) -> None:
    """Print what an import did: files, then notes by level, then what is wrong with the batches as they are now."""
    from anomflow.importing import escape  # noqa: PLC0415 - `--help` need not wait for it

    failed = sum(note.level == "failed" for note in result.notes)
    if output.as_json:
        output.print_json(_describe(result, dry_run=dry_run))
        return
    for name, what in result.files.items():
        typer.echo(f"{'would be ' if dry_run else ''}{what}: {escape(name)}")
    for level in ("done", "look", "failed"):
        for line in format_notes([note for note in result.notes if note.level == level]):
            typer.echo(escape(line), err=level == "failed")
    output.print_problems(result.problems)
    looks = sum(note.level == "look" for note in result.notes)
    errors = sum(not problem.warning for problem in result.problems)
    counts = (
        render_count(len(result.batches), "batch", "batches"),
        render_count(looks, "thing"),
        render_count(errors, "error"),
    )
    typer.echo(f"{counts[0]} imported, {counts[1]} to look at, {failed} failed, {counts[2]} in the settings")


def format_notes(notes: Iterable[Note]) -> list[str]:
    """Write what is told of several places once, with the first of these places below."""
    groups: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        groups.setdefault((note.level, note.words), []).append(f"{note.place}{f' {note.key}' if note.key else ''}")
    lines: list[str] = []
    for (level, words), places in groups.items():
        more = f", and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        single = len(places) == 1
        lines += [f"{level}: {places[0]}: {words}"] if single else [f"{level}: {words}", f"    {', '.join(places[:_SHOWN])}{more}"]
    return lines


def _describe(result: Result, *, dry_run: bool) -> dict[str, object]:
    notes = [
        {"level": note.level, "where": note.where, "line": note.line, "key": note.key, "message": note.message} for note in result.notes
    ]
    problems = [describe_problem(problem) for problem in result.problems]
    return {"dry_run": dry_run, "batches": result.batches, "files": result.files, "notes": notes, "problems": problems}
