"""`feedback`: what a person says of an alert, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.completion import complete_alerts, complete_batches
from cli.output import Output

_WORDS = "up: a real anomaly; down: a false alarm; expected: known or planned; none: takes it back."
Id = Annotated[str | None, typer.Argument(metavar="ALERT_ID", help="The alert's id or its beginning.", autocompletion=complete_alerts)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(feedback)


def feedback(
    ctx: typer.Context,
    alert_id: Id = None,
    word: Annotated[str | None, typer.Argument(metavar="up|down|expected|none", help=_WORDS)] = None,
    *,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept with the alert.")] = "",
    lists: Annotated[bool, typer.Option("--list", help="List the alerts with feedback instead, the newest first.")] = False,
    effect: Annotated[
        str | None,
        typer.Option(
            "--effect",
            metavar="BATCH",
            help="Replay a batch without and with its feedback instead: which alerts go, which appear.",
            autocompletion=complete_batches,
        ),
    ] = None,
) -> None:
    """Say what an alert was. A false alarm raises its metric's threshold; an anomaly or an expected event is not learned as normal.

    The last word on an alert counts; nothing is sent by it, and an expected alert that is open is resolved.

    Example: anomflow feedback 4f0c9a21 down --note "month end, as always"
    Example: anomflow feedback --list
    Example: anomflow feedback --effect sales
    """
    from cli.feedback import print_effect, print_list, say  # noqa: PLC0415 - `--help` need not wait for it

    output: Output = ctx.obj
    if (alert_id is not None) + lists + (effect is not None) != 1:
        raise typer.BadParameter("name an alert and a word, or ask for --list or --effect BATCH", param_hint="ALERT_ID")
    now = datetime.now(UTC)
    if effect is not None:
        print_effect(output, effect, now)
    elif lists:
        print_list(output)
    elif alert_id is not None:
        say(output, alert_id, check_word(word), note, now)


def check_word(word: str | None) -> str:
    """Refuse a word that is no feedback."""
    from anomflow.feedback import WORDS  # noqa: PLC0415 - as above

    if word is None or word not in WORDS:
        told = "; ".join(f"{name}: {meaning}" for name, meaning in WORDS.items())
        wrong = "" if word is None else f"{word!r} is no feedback; "
        raise typer.BadParameter(f"{wrong}say one of these: {told}", param_hint="FEEDBACK")
    return word
