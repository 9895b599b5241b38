"""`list`: the batches, or their metrics, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.options import AsOf, BatchNames
from cli.output import Output
from cli.tables import print_table
from cli.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from anomflow.batches import Batch
    from cli.reading import Ledgers, Reading

RECENT: Final = 30  # rows of a metric that its sparkline shows
WIDTH: Final = 16
_BATCHES: Final = ("batch", "state", "db", "metrics", "last point", "last score", "model age", "open alerts", "schedule", "problem")
_METRICS: Final = ("batch", "metric", "value", "last point", "rows", "score", "open alerts", "recent", "problem")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_batches)


def list_batches(
    ctx: typer.Context,
    batches: BatchNames = None,
    by_metric: Annotated[bool, typer.Option("--by-metric", help="List the metrics of the batches instead.")] = False,
    as_of: AsOf = None,
) -> None:
    """List the batches (or with --by-metric their metrics): newest point and score, age of the model, open alerts, schedule.

    Example: anomflow list
    Example: anomflow list sales --by-metric --json
    """
    from cli.reading import read_batches  # noqa: PLC0415 - `--help` need not wait for it

    output: Output = ctx.obj
    now = parse_time(as_of) or datetime.now(UTC)
    found = read_batches(output, batches or [], lambda ledgers: read_metrics(ledgers, now, courses=by_metric))
    rows = [row for reading in found for row in (describe_metrics(reading) if by_metric else [describe_batch(reading, now)])]
    if output.as_json:
        output.print_json({"metrics" if by_metric else "batches": rows})
    elif by_metric:
        print_table(_METRICS, [_metric_cells(row) for row in rows])
    else:
        print_table(_BATCHES, [_batch_cells(row) for row in rows])


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of a batch: its metrics (query ``overview``), their newest rows (query ``plot``), its open alerts, its model."""

    metrics: pl.DataFrame | None
    recent: pl.DataFrame | None
    open_alerts: Mapping[str, int]
    model_created: datetime | None


def read_metrics(ledgers: Ledgers, now: datetime, *, courses: bool) -> Seen:
    """Read what is known of a batch; the newest values only where ``courses`` are wanted."""
    from anomflow.frames import ALERTS, MODELS  # noqa: PLC0415 - as above

    alerts = ledgers.read(ALERTS, lambda session: f"{ledgers.of_batch(session)} and status = {session.literal('open')}")
    return Seen(
        ledgers.query("overview", until=now),
        ledgers.query("plot", until=now, max_n=RECENT, metrics=None) if courses else None,
        dict(alerts["metric_name"].value_counts().iter_rows()),
        ledgers.newest(MODELS, "created"),
    )


def describe_batch(reading: Reading[Seen], now: datetime) -> dict[str, Any]:
    """Return a batch as JSON-ready facts; what is not known is null."""
    seen, batch = reading.value, reading.batch
    metrics = None if seen is None else seen.metrics
    created = None if seen is None else seen.model_created
    return {
        "batch": reading.name,
        "state": "broken" if batch is None else "disabled" if batch.spec.common.disable_batch else "enabled",
        "path": reading.path,
        "db": None if batch is None else batch.spec.common.db,
        "table": None if batch is None else batch.spec.common.table_key,
        "metrics": None if seen is None else 0 if metrics is None else metrics.filter(metrics["points"] > 0).height,
        "last_point": None if metrics is None else metrics["last_point"].max(),
        "last_score": None if metrics is None else metrics["last_score"].max(),
        "model_created": created,
        "model_age_seconds": None if created is None else round((now - created).total_seconds()),
        "open_alerts": None if seen is None else sum(seen.open_alerts.values()),
        "schedules": {} if batch is None else read_crons(batch),
        "problem": reading.problem,
    }


def read_crons(batch: Batch) -> dict[str, str]:
    """Return the cron of each job that the settings do not switch off."""
    from anomflow.spec import JOBS  # noqa: PLC0415 - as above

    return {job: str(batch.value(f"{job}_cron_schedule")) for job in JOBS if job != "pipeline" and not batch.spec.is_disabled(job)}


def _batch_cells(row: Mapping[str, Any]) -> list[object]:
    from datetime import timedelta  # noqa: PLC0415

    from anomflow.wording import render_duration  # noqa: PLC0415 - as above

    crons: dict[str, list[str]] = {}
    for job, cron in row["schedules"].items():
        crons.setdefault(cron, []).append(job)
    schedule = "; ".join(f"{','.join(jobs)} {cron}" for cron, jobs in crons.items())
    age = None if row["model_age_seconds"] is None else render_duration(timedelta(seconds=row["model_age_seconds"]))
    shown = (row[key] for key in ("batch", "state", "db", "metrics", "last_point", "last_score"))
    return [*shown, age, row["open_alerts"], schedule or None, row["problem"]]


def describe_metrics(reading: Reading[Seen]) -> list[dict[str, Any]]:
    """Return the metrics of a batch as JSON-ready facts; a batch that cannot be read is one row without a metric."""
    seen = reading.value
    if seen is None or seen.metrics is None:
        return [_describe_metric(reading, None, {}, {})] if reading.problem else []
    recent = {} if seen.recent is None else dict(iter(seen.recent.group_by("metric_name", "metric_type")))
    return [
        _describe_metric(reading, row["metric_name"], row, {kind: recent.get((row["metric_name"], kind)) for kind in ("metric", "score")})
        for row in seen.metrics.iter_rows(named=True)
    ]


def _describe_metric(reading: Reading[Seen], name: str | None, row: Mapping[str, Any], recent: Mapping[str, Any]) -> dict[str, Any]:
    values, scores = recent.get("metric"), recent.get("score")
    course = [] if values is None else values.sort("metric_timestamp")["metric_value"].to_list()
    newest = None if scores is None else scores.sort("metric_timestamp")["metric_value"].to_list()[-1]
    return {
        "batch": reading.name,
        "metric": name,
        "value": course[-1] if course else None,
        "last_point": row.get("last_point"),
        "rows": row.get("points"),
        "last_score": row.get("last_score"),
        "anomaly_score": newest,
        "open_alerts": None if reading.value is None else reading.value.open_alerts.get(name or "", 0),
        "recent": course,
        "problem": reading.problem,
    }


def _metric_cells(row: Mapping[str, Any]) -> list[object]:
    from anomflow.sparkline import render_sparkline  # noqa: PLC0415 - as above
    from anomflow.wording import render_number  # noqa: PLC0415 - as above

    value = None if row["value"] is None else render_number(row["value"], 6)
    score = None if row["anomaly_score"] is None else f"{row['anomaly_score']:.4f}"
    course = render_sparkline(row["recent"], width=WIDTH)
    return [row["batch"], row["metric"], value, row["last_point"], row["rows"], score, row["open_alerts"], course, row["problem"]]
