"""A whole installation in a folder: a batch over a source table, its warehouse, a real mail server, a clock that is set."""

from __future__ import annotations

import email
import email.policy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from anomflow.batches import load_batch
from flows.alert import alert_stage
from flows.change import change_stage
from flows.ingest import ingest_stage
from flows.jobrun import Request, Run, metrics_folder
from flows.outcomes import Outcome
from flows.pipeline import pipeline_stages
from flows.plot import plot_stage
from flows.score import score_stage
from flows.train import train_stage

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STAGES: dict[str, Callable[[Run], Any]] = {
    "ingest": ingest_stage,
    "train": train_stage,
    "score": score_stage,
    "change": change_stage,
    "alert": alert_stage,
    "plot": plot_stage,
    "pipeline": pipeline_stages,
}
YAML = """\
metric_batch: {batch}
table_key: metrics
ingest_sql: select metric_timestamp, metric_name, metric_value from source
"""


class Clock:
    """A clock that a test sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@dataclass
class Mailbox:
    """What a mail server accepted; `answers` are given instead of accepting, one a mail, while there are any."""

    mails: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore[arg-type]
        return "250 OK"

    @property
    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]


@dataclass
class World:
    """One batch named `shop`, its source table and its warehouse, both in one DuckDB file."""

    folder: Path
    clock: Clock

    @property
    def database(self) -> Path:
        return self.folder / "home" / "anomflow.duckdb"

    def sql(self, *statements: str, **frames: pl.DataFrame) -> pl.DataFrame:
        """Execute statements in their order, and return the rows of the last."""
        with duckdb.connect(str(self.database)) as connection:
            connection.execute("set timezone = 'UTC'")
            for name, frame in frames.items():
                connection.register(name, frame.to_arrow())
            relation = [connection.execute(statement) for statement in statements][-1]
            return pl.DataFrame(relation.to_arrow_table()) if relation.description else pl.DataFrame()

    def configure(self, text: str = "", batch: str = "shop") -> None:
        path = self.folder / "metrics" / batch / f"{batch}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(YAML.format(batch=batch) + text)

    def put(self, rows: pl.DataFrame) -> None:
        """Insert rows into the source, or correct them."""
        self.sql(
            "create table if not exists source (metric_timestamp timestamptz, metric_name varchar, metric_value double)",
            "delete from source using rows r where source.metric_timestamp = r.metric_timestamp and source.metric_name = r.metric_name",
            "insert into source by name select * from rows",
            rows=rows,
        )

    def open(self, as_of: datetime | None = None, *, send: bool = True, batch: str = "shop") -> Run:
        if as_of is not None:
            self.clock.moment = max(self.clock.moment, as_of)
        request = Request(batch, as_of, send=send, metrics=str(self.folder / "metrics"))
        return Run(load_batch(metrics_folder(request), batch, os.environ, {}), request, self.clock)

    def run(self, *jobs: str, as_of: datetime | None = None, send: bool = True, batch: str = "shop") -> list[Outcome]:
        run = self.open(as_of, send=send, batch=batch)
        return [STAGES[job](run) for job in jobs]

    def table(self, suffix: str = "") -> pl.DataFrame:
        return self.sql(f"select * from metrics{suffix} order by all")

    @property
    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        return {suffix: self.table(suffix).rows() for suffix in ("", "_models", "_alerts", "_deliveries")}

    def alerts(self, **equal: object) -> pl.DataFrame:
        return self.table("_alerts").filter(**equal)

    def status_at(self, hour: int, name: str = "orders") -> str:
        """Return the state of the anomaly alert of a row."""
        found = self.alerts(kind="anomaly", metric_name=name, metric_timestamp=START + HOUR * hour)
        return str(found["status"].item())

    def uncovered(self, since: datetime) -> pl.DataFrame:
        """Return the rows from a time on that have not exactly one score of their present value."""
        return self.sql(f"""
            with m as (select * from metrics where metric_type = 'metric' and metric_timestamp >= timestamptz '{since.isoformat()}'),
            s as (select metric_batch, metric_name, metric_timestamp, cast(metadata ->> '$.value' as double) as judged
                  from metrics where metric_type = 'score')
            select m.metric_name, m.metric_timestamp, m.metric_value, count(s.metric_name) as scores, any_value(judged) as judged
            from m left join s using (metric_batch, metric_name, metric_timestamp)
            group by all having count(s.metric_name) <> 1 or judged is distinct from m.metric_value
        """)


def series(name: str, count: int, spikes: Sequence[int] = (), seed: int = 1, step: timedelta = HOUR) -> pl.DataFrame:
    """Return a daily wave with noise; each spike is far outside of everything."""
    rng = np.random.default_rng(seed)
    hours = np.arange(count)
    values = 100 + 20 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 2, count)
    values[list(spikes)] += 200
    times = [START + step * int(hour) for hour in hours]
    return pl.DataFrame(
        {"metric_timestamp": times, "metric_name": [name] * count, "metric_value": values},
        schema={"metric_timestamp": pl.Datetime("us", "UTC"), "metric_name": pl.String, "metric_value": pl.Float64},
    )


def at(hours: float) -> datetime:
    """Return the time so many hours after the start, a second later than its row."""
    return START + timedelta(hours=hours, seconds=1)
