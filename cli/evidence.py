"""All rows that speak of a point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.explain import Evidence
    from anomflow.protocols import Session
    from cli.reading import Ledgers

_NAMES_SHOWN: Final = 10
_NAME_LIMIT: Final = 80


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
    nearest = Evidence.nearest if found or not alerts.is_empty() else find_nearest(ledgers, metric, moment)
    return Evidence(value, "metric" in found, score, alerts, deliveries, detector, nearest)


def find_nearest(ledgers: Ledgers, metric: str, moment: datetime) -> str:
    """Say what comes nearest to a point that is not there: another name of a metric, or the rows before and after."""
    from anomflow.batches.suggestions import suggest  # noqa: PLC0415 - as above
    from anomflow.frames import OBSERVATIONS  # noqa: PLC0415 - as above
    from anomflow.wording import clean_text, render_some  # noqa: PLC0415 - as above

    names = list(ledgers.count(OBSERVATIONS, "metric_name"))
    if not names:
        return "nothing was ingested yet"
    if metric in names:
        return f"its nearest rows are of {' and '.join(_find_times(ledgers, metric, moment))}"
    cleaned = [clean_text(name, _NAME_LIMIT) for name in names]
    known = render_some(cleaned, _NAMES_SHOWN)
    return f"there is no metric {clean_text(metric, _NAME_LIMIT)!r}.{suggest(metric, cleaned, 0.6)} Metrics: {known}"


def _find_times(ledgers: Ledgers, metric: str, moment: datetime) -> list[str]:
    """Return the times of a metric's rows before and after a moment, as one can type them."""
    from anomflow.conform import conform_times  # noqa: PLC0415 - as above
    from anomflow.frames import OBSERVATIONS  # noqa: PLC0415 - as above
    from cli.output import render_moment  # noqa: PLC0415 - as above

    session = ledgers.find_session(OBSERVATIONS)
    assert session is not None  # noqa: S101 - the metric was read from it
    time, table = session.identifier("metric_timestamp"), session.identifier(ledgers.batch.spec.common.table_key)
    of_metric = f"{ledgers.of_batch(session)} and {session.identifier('metric_name')} = {session.literal(metric)}"
    queries = [
        f"select {time} from {table} where {of_metric} and {time} {side} {session.literal(moment)} order by {time} {order} limit 1"
        for side, order in (("<", "desc"), (">", "asc"))
    ]
    found = [conform_times(session.read(query))["metric_timestamp"].to_list() for query in queries]
    return [render_moment(each) for times in found for each in times]


def _among(session: Session, messages: list[str]) -> str:
    listed = ", ".join(session.literal(message) for message in messages)
    return f"{session.identifier('message_id')} in ({listed})" if messages else "1 = 0"
