"""What the tests of the ledger say in one word: a time, a candidate, a judgement, the rows of a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from anomflow.decisions.candidate import Candidate, Judgements
from anomflow.frames import ALERTS, DELIVERIES
from anomflow.frames import UTC as UTC_TYPE
from anomflow.ledger.alerts import Recorded, record_judgements
from anomflow.ledger.deliveries import Claim, Delivery, Grouping, claim_deliveries, group_open_alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anomflow.protocols import Session
    from tests.ledger.ledger_session import File

START = datetime(2024, 3, 1, tzinfo=UTC)
LEASE = timedelta(minutes=5)
KEY = "metrics"
BATCH = "sales"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def candidate(minute: float, *, metric: str = "orders", reach: float | None = 0, **changes: Any) -> Candidate:
    """Return a candidate at a minute whose snooze reaches so many minutes on either side (None: without bound)."""
    facts = {"metric_value": 10.0, "expected_low": 1.0, "expected_high": 5.0, "anomaly_score": 0.9, "surprise": 4.0}
    when = at(minute)
    return Candidate(
        **{
            "metric_name": metric,
            "kind": "anomaly",
            "metric_timestamp": when,
            "reason": "jumped",
            "max_age": timedelta(hours=24),
            "snooze_from": None if reach is None else when - timedelta(minutes=reach),
            "snooze_until": None if reach is None else when + timedelta(minutes=reach),
            **facts,
            **changes,
        }
    )


def judgements(*candidates: Candidate, normal: Iterable[float] = (), **changes: Any) -> Judgements:
    """Return judgements of these candidates and of normal rows of `orders` at these minutes."""
    rows = [("orders", at(minute)) for minute in normal] + [(one.metric_name, one.metric_timestamp) for one in candidates]
    judged = pl.DataFrame(rows, schema={"metric_name": pl.String(), "metric_timestamp": UTC_TYPE}, orient="row")
    settings = {"batch": BATCH, "kind": candidates[0].kind if candidates else "anomaly", "as_of": at(60), **changes}
    return Judgements(judged=judged, candidates=candidates, **settings)


def record(file: File, *candidates: Candidate, **changes: Any) -> Recorded:
    with file.writing() as session:
        return record_judgements(session, KEY, judgements(*candidates, **changes))


def group(file: File, *, minute: float = 61, channels: tuple[str, ...] = ("email",), batch: str = BATCH) -> str | None:
    with file.writing() as session:
        return group_open_alerts(session, KEY, Grouping(batch, channels, at(minute)))


def claim(file: File, *, minute: float = 62, run: str = "run-1", batch: str = BATCH) -> list[Delivery]:
    with file.writing() as session:
        return claim_deliveries(session, KEY, Claim(batch, run, at(minute), LEASE))


def read_alerts(file: File) -> list[dict[str, Any]]:
    with file.reading() as session:
        return session.read_table(ALERTS, ALERTS.name(KEY)).sort("metric_name", "metric_timestamp", "kind").to_dicts()


def read_deliveries(file: File) -> list[dict[str, Any]]:
    with file.reading() as session:
        return session.read_table(DELIVERIES, DELIVERIES.name(KEY)).sort("created", "message_id", "channel").to_dicts()


def statuses(file: File) -> list[str]:
    return [alert["status"] for alert in read_alerts(file)]


def kill(file: File, work: Callable[[Session], object]) -> None:
    """Do work in a transaction that is killed just before its commit."""
    with pytest.raises(RuntimeError, match="killed"):
        _do_and_die(file, work)


def _do_and_die(file: File, work: Callable[[Session], object]) -> None:
    with file.writing() as session:
        work(session)
        raise RuntimeError("killed")
