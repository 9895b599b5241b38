"""All rows that speak of a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.explain import Evidence
    from anomflow.protocols import Session
    from cli.reading import Ledgers


def read_evidence(ledgers: Ledgers, metric: str, moment: datetime) -> Evidence:
    """Read a point's value, score, alerts and their deliveries."""
    from anomflow.explain import Evidence, read_score  # noqa: PLC0415 - `--help` need not wait for it
    from anomflow.frames import ALERTS, DELIVERIES, OBSERVATIONS  # noqa: PLC0415 - as above
    from cli.choices import read_choice  # noqa: PLC0415 - as above

    def point(session: Session) -> str:
        where = {"metric_name": metric, "metric_timestamp": moment}
        parts = [f"{session.identifier(column)} = {session.literal(value)}" for column, value in where.items()]
        return " and ".join([ledgers.of_batch(session), *parts])

    rows, alerts = ledgers.read(OBSERVATIONS, point), ledgers.read(ALERTS, point)
    messages = alerts["message_id"].drop_nulls().to_list()
    deliveries = ledgers.read(DELIVERIES, lambda session: _among(session, messages))
    found: dict[str, Any] = {row["metric_type"]: row for row in rows.iter_rows(named=True)}
    value = found.get("metric", {}).get("metric_value")
    score = read_score(found.get("score", {}).get("metadata"))
    detector = read_choice(ledgers, str(score["model"]), metric) if score is not None else None
    return Evidence(value, "metric" in found, score, alerts, deliveries, detector)


def _among(session: Session, messages: list[str]) -> str:
    listed = ", ".join(session.literal(message) for message in messages)
    return f"{session.identifier('message_id')} in ({listed})" if messages else "1 = 0"
