"""`status`: is everything ingested, judged and told? For people and for a cron."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.options import AsOf, BatchNames
from cli.output import Output
from cli.tables import escape_text, paint, print_table
from cli.times import parse_time, parse_when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anomflow.batches import Batch
    from anomflow.coverage import Coverage, Outbox, Window
    from cli.reading import Ledgers, Reading

ATTENTION: Final = 3
_COUNTS: Final = ("metrics", "expected", "ingested", "scored", "judged")
_TRACES: Final = ("row", "model", "score", "delivery")
_HEADINGS: Final = ("batch", "state", *_COUNTS, "alerts", "deliveries", *(f"newest {trace}" for trace in _TRACES))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    ctx: typer.Context,
    batches: BatchNames = None,
    hours: Annotated[float | None, typer.Option(min=0.01, max=87600, help="Look at the last so many hours.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Look at the time since then: ISO 8601, or an age such as 7d.")] = None,
    as_of: AsOf = None,
) -> None:
    """Tell whether everything is ingested, judged and told; the last 24 hours by default. Exit code 3: something needs attention.

    Example: anomflow status sales --hours 48
    Example: anomflow status --since 7d --json
    """
    from anomflow.coverage import Window  # noqa: PLC0415 - `--help` need not wait for it
    from cli.reading import read_batches  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    now = parse_time(as_of) or datetime.now(UTC)
    window = Window(find_start(hours, since, now), now)
    found = read_batches(output, batches or [], lambda ledgers: read_state(ledgers, window))
    rows = [describe(reading, window) for reading in found]
    if output.as_json:
        output.print_json({"since": window.since, "until": window.until, "ok": not any(row["troubles"] for row in rows), "batches": rows})
    else:
        print_rows(rows)
    if any(row["troubles"] for row in rows):
        raise typer.Exit(ATTENTION)


def find_start(hours: float | None, since: str | None, now: datetime) -> datetime:
    """Return where the window begins."""
    if hours is not None and since is not None:
        raise typer.BadParameter("--hours and --since say the same; give one of them", param_hint="--since")
    start = parse_when(since, now) or now - timedelta(hours=24 if hours is None else hours)
    if start >= now:
        raise typer.BadParameter(f"{since!r} is not in the past", param_hint="--since")
    return start


@dataclass(frozen=True, eq=False)
class State:
    """What was read of a batch: coverage of its window, alerts of it by status, deliveries, when each job last left a trace."""

    window: Window
    coverage: Coverage | None
    still: Sequence[str]
    alerts: Mapping[str, int]
    outbox: Outbox
    traces: Mapping[str, datetime | None]


def read_state(ledgers: Ledgers, asked: Window) -> State:
    """Read the state of a batch, all of it counted by the warehouse."""
    from anomflow.coverage import build_coverage, build_tempo, find_standstill  # noqa: PLC0415 - as above
    from anomflow.frames import ALERTS, DELIVERIES, MODELS  # noqa: PLC0415 - as above

    window = limit_window(ledgers.batch, asked)
    times = {"since": window.cadence_since, "checkpoint": window.since, "until": window.until}
    rows, all_time = ledgers.query("coverage", **times), ledgers.query("overview", until=window.until)
    return State(
        window,
        None if rows is None else build_coverage(rows, window, build_tempo(ledgers.batch, window.until)),
        [] if all_time is None else find_standstill(all_time, window),
        ledgers.count(ALERTS, "status", ("detected_at", window.since)),
        read_outbox(ledgers, window),
        {
            "row": None if all_time is None else all_time["last_point"].max(),  # type: ignore[dict-item]
            "model": ledgers.newest(MODELS, "created"),
            "score": None if all_time is None else all_time["last_score"].max(),  # type: ignore[dict-item]
            "delivery": ledgers.newest(DELIVERIES, "sent_at"),
        },
    )


def limit_window(batch: Batch, asked: Window) -> Window:
    """Leave out what is too old to be judged at all."""
    from anomflow.coverage import Window  # noqa: PLC0415 - as above

    oldest = asked.until - timedelta(days=batch.spec.score.score_metric_timestamp_max_days_ago)
    return Window(max(asked.since, oldest), asked.until)


def read_outbox(ledgers: Ledgers, window: Window) -> Outbox:
    """Read the deliveries that need a look, and count those of the window."""
    from anomflow.coverage import Outbox  # noqa: PLC0415 - as above
    from anomflow.frames import DELIVERIES  # noqa: PLC0415 - as above
    from anomflow.ledger.deliveries import read_given_up, read_pending  # noqa: PLC0415 - as above

    session = ledgers.ledger
    if session is None or not ledgers.has(DELIVERIES):
        return Outbox()
    key = ledgers.batch.spec.common.table_key
    given_up = read_given_up(session, key, ledgers.batch.name)
    return Outbox(
        ledgers.count(DELIVERIES, "state", ("created", window.since)),
        read_pending(session, key, ledgers.batch.name).to_dicts(),
        given_up.filter(given_up["created"] >= window.since).to_dicts(),
    )


def describe(reading: Reading[State], asked: Window) -> dict[str, Any]:
    """Return a batch's state as JSON-ready facts."""
    state, batch = reading.value, reading.batch
    coverage = None if state is None else state.coverage
    counts = {} if coverage is None else coverage.counts
    return {
        "batch": reading.name,
        "state": find_word(reading),
        "since": asked.since if state is None else state.window.since,
        "metrics": None if coverage is None else coverage.metrics,
        "rows": {name: counts.get(name) for name in ("expected", "ingested", "scored", "without_score", "judged")},
        "reasons": {name: counts.get(name) for name in ("cold_start", "not_finite", "excluded", "before_start", "ignored_period")},
        "silent_metrics": [] if coverage is None else coverage.silent,
        "waiting_metrics": [] if coverage is None else coverage.waiting,
        "oldest_waiting": None if coverage is None else coverage.oldest_waiting,
        "alerts": {} if state is None else state.alerts,
        "deliveries": {} if state is None else state.outbox.states,
        "oldest_undelivered": None if state is None else state.outbox.oldest,
        "newest": dict.fromkeys(_TRACES) if state is None else state.traces,
        "troubles": find_all_troubles(reading, batch),
    }


def find_word(reading: Reading[State]) -> str:
    """Say in a word how a batch is."""
    if reading.batch is None or reading.problem:
        return "broken"
    if reading.batch.spec.common.disable_batch:
        return "disabled"
    return "attention" if find_all_troubles(reading, reading.batch) else "fine"


def find_all_troubles(reading: Reading[State], batch: Batch | None) -> list[str]:
    """Say what of a batch needs attention; of one that is switched off nothing does."""
    from anomflow.coverage import find_patience, find_troubles, find_undelivered  # noqa: PLC0415 - as above

    state = reading.value
    if batch is None or (state is None and not batch.spec.common.disable_batch):
        return [str(reading.problem)]
    if state is None or batch.spec.common.disable_batch:
        return []
    covered = (
        ["nothing was ingested yet"]
        if state.coverage is None or state.traces["row"] is None
        else state.still or find_troubles(state.coverage, state.window)
    )
    now = state.window.until
    return [*covered, *find_undelivered(state.outbox, now, find_patience(batch.spec, ["alert"], now))]


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print the batches as a table, and below it what needs attention."""
    print_table(_HEADINGS, [_cells(row) for row in rows])
    for row in rows:
        for trouble in row["troubles"]:
            typer.echo(f"{paint('attention', fg=typer.colors.YELLOW)}: {row['batch']}: {escape_text(trouble)}")


def _cells(row: Mapping[str, Any]) -> list[object]:
    rows = row["rows"]
    reasons = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in row["reasons"].items() if count)
    scored = f"{rows['scored']} ({reasons})" if reasons else rows["scored"]
    counted = [", ".join(f"{count} {name}" for name, count in row[key].items()) or None for key in ("alerts", "deliveries")]
    return [
        row["batch"], row["state"], row["metrics"], rows["expected"], rows["ingested"], scored, rows["judged"],
        *counted, *(row["newest"][trace] for trace in _TRACES),
    ]  # fmt: skip
