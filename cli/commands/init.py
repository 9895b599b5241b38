"""`init`: the files of a new batch, which validate as they are; asked for by flags, or question by question."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Final

import typer

from anomflow.kinds import WAREHOUSES
from cli.completion import complete_batches
from cli.output import Output
from cli.scaffold import PYTHON, SQL, Draft, check_name, find_draft_problems, find_source, render_files, write_scaffold

_LIKE: Final = "like "


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(  # noqa: PLR0917 - the words of a command are named by its user
    ctx: typer.Context,
    batch: Annotated[str | None, typer.Argument(metavar="BATCH", help="Name of the new batch; without one you are asked.")] = None,
    python: Annotated[bool, typer.Option("--python", help="Ingest by a Python function instead of a SQL query.")] = False,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="BATCH",
            help="Start from the query or function of another batch, with the settings that it needs.",
            autocompletion=complete_batches,
        ),
    ] = None,
    db: Annotated[str, typer.Option(help="Where its rows are kept: a kind (duckdb, postgres, ...) or kind/block-name.")] = Draft.db,
    cron: Annotated[str, typer.Option(help="When to ingest.")] = Draft.cron,
    freq: Annotated[str, typer.Option(metavar="WIDTH", help="Aggregate rows to buckets: 10min, 1h, 1d.")] = "",
    channel: Annotated[str, typer.Option(help="Where alerts go: file, console, email, slack, teams... or kind/block-name.")] = "",
) -> None:
    """Make the files of a new batch in the metrics folder; nothing that exists is overwritten. Without a name you are asked.

    Example: anomflow init sales --python
    Example: anomflow init sales --db sqlite --cron "0 * * * *" --freq 1h --channel email
    """
    output: Output = ctx.obj
    if batch is None:
        draft = ask_draft(output)
    else:
        check_name(batch, output.metrics)
        source = find_source(output.metrics, like) if like else PYTHON if python else SQL
        draft = Draft(batch, source, db, cron, freq, channel)
    write(output, draft)


def write(output: Output, draft: Draft) -> None:
    """Check a draft, write its files and say what to type next."""
    from anomflow.errors import SettingsError  # noqa: PLC0415 - `--help` need not wait for it

    problems = find_draft_problems(draft, output.environ)
    if problems:
        raise SettingsError(problems)
    written = write_scaffold(output.metrics, render_files(draft, output.metrics))
    if output.as_json:
        output.print_json({"batch": draft.name, "files": [path.as_posix() for path in written]})
        return
    for path in written:
        typer.echo(f"written: {path.as_posix()}")
    typer.echo(f"next: edit {written[1].as_posix()}, then `anomflow validate {draft.name}`")


def ask_draft(output: Output) -> Draft:
    """Ask for a batch question by question, each answer checked at once; show the file before it is written."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("Missing argument 'BATCH': the name of the new batch (in a terminal you are asked for it)")
    typer.echo("A new batch. Enter takes what stands in brackets.")
    draft = Draft("x")
    for question in build_questions(output):
        draft = ask(output, draft, question)
    path, text = next(iter(render_files(draft, output.metrics).items()))
    typer.echo(f"\n{path.as_posix()}:\n\n{text}")
    typer.confirm("Write it?", default=True, abort=True)
    return draft


@dataclass(frozen=True)
class Question:
    """What is asked, what an answer does to the draft (or typer.BadParameter), what Enter answers."""

    text: str
    apply: Callable[[Draft, str], Draft]
    default: str | None


def build_questions(output: Output) -> tuple[Question, ...]:
    """Return the questions in their order, the name first."""
    return (
        Question("Name (letters, digits, _ . -)", lambda _, answer: begin(output, answer), None),
        Question(
            "Rows come from (sql, python, or `like BATCH`)",
            lambda draft, answer: replace(draft, source=choose_source(output, answer)),
            SQL,
        ),
        Question(
            f"Warehouse ({', '.join(WAREHOUSES)} or a block)",
            lambda draft, answer: replace(draft, db=answer),
            Draft.db,
        ),
        Question("When to ingest (cron)", lambda draft, answer: replace(draft, cron=answer), Draft.cron),
        Question(
            "Aggregate rows to buckets of (10min, 1h, 1d, none)",
            lambda draft, answer: replace(draft, freq="" if answer == "none" else answer),
            "none",
        ),
        Question(
            "Alerts go to (file, console, email, slack, kind/block-name)", lambda draft, answer: replace(draft, channel=answer), "file"
        ),
    )


def begin(output: Output, answer: str) -> Draft:
    """Begin a draft under a name that is free."""
    check_name(answer, output.metrics)
    return Draft(answer)


def choose_source(output: Output, answer: str) -> str:
    """Return the source that an answer names; raises typer.BadParameter."""
    if answer.startswith(_LIKE):
        return find_source(output.metrics, answer.removeprefix(_LIKE).strip())
    if answer not in {SQL, PYTHON}:
        raise typer.BadParameter(f"{answer!r} is none of sql, python, like BATCH")
    return answer


def ask(output: Output, draft: Draft, question: Question) -> Draft:
    """Ask until the answer makes a draft without problems."""
    while True:
        answer = str(typer.prompt(question.text, default=question.default)).strip()
        try:
            changed = question.apply(draft, answer)
        except typer.BadParameter as error:
            output.print_failure(error.message)
            continue
        problems = find_draft_problems(changed, output.environ)
        if not problems:
            return changed
        output.print_problems(problems)
