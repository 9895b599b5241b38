"""The work of `feedback`: write it into the ledger, list it, show by a replay what it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from anomflow.decisions.candidate import ANOMALY
from anomflow.feedback import DOWN, EXPECTED, NONE, ROW_KINDS, UP
from cli.tables import print_facts, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from anomflow.batches import Batch
    from anomflow.ledger.feedback import Given
    from anomflow.protocols import Session
    from cli.output import Output

_HEADINGS: Final = ("alert", "batch", "metric", "when (UTC)", "kind", "status", "feedback", "given (UTC)", "note")
_ID: Final = 8  # characters of an id that a table shows


def say(output: Output, start: str, word: str, note: str, now: datetime) -> None:
    """Record feedback on the alert whose id begins so, and tell what follows from it."""
    from anomflow.batches import load_batch  # noqa: PLC0415 - the list needs none of it
    from anomflow.ledger.feedback import Opinion, record_feedback  # noqa: PLC0415 - as above
    from anomflow.wording import clean_text  # noqa: PLC0415 - as above
    from cli.ledgers import find_alert  # noqa: PLC0415 - as above
    from cli.reading import open_warehouse  # noqa: PLC0415 - as above

    alert = find_alert(output, start)
    batch = load_batch(output.metrics, alert["metric_batch"], output.environ)
    opinion = Opinion(alert["alert_id"], word, clean_text(note) if note.strip() else "", now)
    with open_warehouse(batch).writing() as session:
        given = record_feedback(session, batch.spec.common.table_key, opinion)
        result = _tell(alert, word, given, _find_effect(session, batch, alert, word, now))
    facts = {"alert_id": alert["alert_id"], "metric": alert["metric_name"], "feedback": word, "changed": given.changed}
    if output.as_json:
        output.print_json({**facts, "resolved": given.resolved, "result": result})
    else:
        print_facts([("alert", alert["alert_id"][:_ID]), ("metric", alert["metric_name"]), ("feedback", word), ("result", result)])


def _tell(alert: Mapping[str, Any], word: str, given: Given, effect: str) -> str:
    if not given.changed:
        return f"nothing new; {effect}"
    if given.resolved:
        return f"the alert is resolved; {effect}"
    is_resolved = word == NONE and alert["feedback"] == EXPECTED and alert["status"] == "resolved"
    return f"{effect}; the alert stays resolved" if is_resolved else effect


def _find_effect(session: Session, batch: Batch, alert: Mapping[str, Any], word: str, now: datetime) -> str:
    """Say what the feedback changes from the next run on."""
    if not batch.spec.feedback.feedback_acts:
        return "kept; feedback_acts is false, so that nothing else changes"
    if alert["kind"] not in ROW_KINDS:
        return f"kept; what is said of a {alert['kind']} alert changes no threshold and nothing that is learned"
    learned = {
        UP: "its rows are not learned as normal from the next training on",
        EXPECTED: "its rows are not learned from the next training on",
        DOWN: "its rows are learned as all others",
        NONE: "it counts as if nothing had been said",
    }
    return f"{learned[word]}; {_find_threshold(session, batch, alert, now)}"


def _find_threshold(session: Session, batch: Batch, alert: Mapping[str, Any], now: datetime) -> str:
    from anomflow.ledger.feedback import read_feedback  # noqa: PLC0415 - as above

    if alert["kind"] != ANOMALY:
        return "the threshold is the one that you set"
    if batch.spec.alert.alert_threshold is not None:
        return "alert_threshold is set, so that the threshold stays"
    adjustment = read_feedback(session, batch.spec, now).adjustments.get(alert["metric_name"])
    return "the threshold is not raised" if adjustment is None else f"{adjustment.note}"


def print_list(output: Output) -> None:
    """Print the alerts of all batches that have feedback, the newest first."""
    from cli.ledgers import Wanted, find_alerts  # noqa: PLC0415 - as above

    found = find_alerts(output, [], Wanted())
    rows = [row for row in found.rows if row["feedback"]]
    if output.as_json:
        broken = [{"batch": reading.name, "problem": reading.problem} for reading in found.broken]
        output.print_json({"alerts": rows, "problems": broken})
        return
    print_table(_HEADINGS, [_cells(row) for row in rows])
    for reading in found.broken:
        output.print_failure(f"{reading.name}: {reading.problem}")


def _cells(row: Mapping[str, Any]) -> list[object]:
    columns = ("metric_batch", "metric_name", "metric_timestamp", "kind", "status", "feedback", "feedback_at", "feedback_note")
    return [row["alert_id"][:_ID], *(row[column] for column in columns)]


def print_effect(output: Output, name: str, now: datetime) -> None:
    """Replay a batch without and with its feedback, and print both side by side."""
    from dataclasses import replace  # noqa: PLC0415 - as above

    from anomflow.backtest.run import Options  # noqa: PLC0415 - as above
    from cli.backtests import print_told, read_past  # noqa: PLC0415 - as above
    from cli.backtests import replay as replay_pasts  # noqa: PLC0415 - as above

    pasts = [read_past(output, name, settings, now) for settings in ({"feedback_acts": "false"}, {"feedback_acts": "true"})]
    told = replay_pasts(pasts, Options(now, trials=0), quiet=output.as_json)
    print_told(output, replace(told, titles=("without feedback", "with feedback")))
    raise typer.Exit(1 if told.failed else 0)
