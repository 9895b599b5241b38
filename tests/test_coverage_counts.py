"""What of a batch's counts needs attention: cadence, silence, rows that wait, deliveries, on a clock that is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from anomflow.coverage import (
    Coverage,
    Outbox,
    Tempo,
    Window,
    build_coverage,
    find_interval,
    find_standstill,
    find_troubles,
    find_undelivered,
)

NOW = datetime(2026, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(NOW - 24 * HOUR, NOW)
TIME = pl.Datetime("us", "UTC")
TIMES = ("first_point", "last_earlier", "last_point", "last_score", "oldest_waiting")
FINE: dict[str, Any] = {
    "metric_name": "orders",
    "earlier": 25,
    "first_point": NOW - 48 * HOUR,
    "last_earlier": NOW - 24 * HOUR,
    "last_point": NOW,
    "last_score": NOW,
    "ingested": 24,
    "scored": 24,
    "without_score": 0,
    "cold_start": 0,
    "not_finite": 0,
    "excluded": 0,
    "before_start": 0,
    "ignored_period": 0,
    "judged": 24,
    "oldest_waiting": None,
}


def cover(tempo: Tempo, **changed: object) -> Coverage:
    row = FINE | changed
    schema = {name: TIME if name in TIMES else pl.String if name == "metric_name" else pl.Int64 for name in row}
    return build_coverage(pl.DataFrame([row], schema=schema), WINDOW, tempo)


@pytest.mark.parametrize(
    ("freq", "changed", "expected"),
    [
        (None, {}, 24),
        (None, {"ingested": 20}, 24),  # a gap
        (None, {"earlier": 97}, 96),  # every quarter of an hour before
        (None, {"earlier": 2, "ingested": 7}, 7),  # too few to tell a cadence
        (None, {"first_point": NOW - 10 * HOUR, "earlier": 0, "last_earlier": None, "ingested": 10}, 10),  # new
        (2 * HOUR, {}, 12),
        (2 * HOUR, {"first_point": NOW - 6 * HOUR}, 3),
    ],
)
def test_expected_rows_follow_the_cadence(freq: timedelta | None, changed: dict[str, object], expected: int) -> None:
    assert cover(Tempo(freq, HOUR), **changed).counts["expected"] == expected


@pytest.mark.parametrize(
    ("changed", "silent"),
    [({}, ()), ({"ingested": 0}, ("orders",)), ({"ingested": 0, "earlier": 2}, ()), ({"ingested": 1}, ())],
)
def test_a_metric_without_any_expected_row_is_silent(changed: dict[str, object], silent: tuple[str, ...]) -> None:
    assert cover(Tempo(None, HOUR), **changed).silent == silent


@pytest.mark.parametrize(
    ("tempo", "changed", "waits"),
    [
        (Tempo(None, HOUR), {"oldest_waiting": NOW - 2 * HOUR}, True),
        (Tempo(None, HOUR), {"oldest_waiting": NOW - 0.5 * HOUR}, False),
        (Tempo(None, None), {"oldest_waiting": NOW - 9 * HOUR}, False),  # nothing scores
        (Tempo(HOUR, HOUR), {"last_score": NOW - HOUR}, False),
        (Tempo(HOUR, HOUR), {"last_score": NOW - 6 * HOUR}, True),
        (Tempo(HOUR, HOUR), {"last_score": None}, True),
        (Tempo(HOUR, HOUR), {"last_score": NOW - 6 * HOUR, "last_point": NOW - 5 * HOUR}, False),  # no rows after it
    ],
)
def test_rows_wait_once_their_jobs_should_have_run(tempo: Tempo, changed: dict[str, object], waits: bool) -> None:
    coverage = cover(tempo, **changed)
    assert coverage.waiting == (("orders",) if waits else ())
    assert bool(find_troubles(coverage, WINDOW)) is waits


@pytest.mark.parametrize(
    ("newest", "points", "still"),
    [(NOW - HOUR, 100, False), (NOW - 30 * HOUR, 100, True), (NOW - 30 * HOUR, 3, False), (NOW - 30 * HOUR, 1, True)],
)
def test_a_batch_stands_still_after_three_steps_of_its_fastest_metric(newest: datetime, points: int, still: bool) -> None:
    overview = pl.DataFrame(
        {"points": [points], "first_point": [NOW - 100 * HOUR], "last_point": [newest]},
        schema_overrides={"first_point": TIME, "last_point": TIME},
    )
    assert bool(find_standstill(overview, WINDOW)) is still


DELIVERY: dict[str, Any] = {
    "message_id": "0123456789",
    "channel": "email",
    "attempts": 0,
    "next_attempt_at": NOW,
    "error": None,
    "created": NOW,
}


@pytest.mark.parametrize(
    ("pending", "told"),
    [
        ({}, []),
        ({"next_attempt_at": NOW - 2 * HOUR, "created": NOW - 2 * HOUR}, ["01234567 by email waits since 2026-01-09T22:00Z"]),
        ({"error": "no route", "attempts": 2}, ["01234567 by email failed 2 times, next attempt 2026-01-10T00:00Z: no route"]),
    ],
)
def test_deliveries_that_wait_or_failed_are_told(pending: dict[str, object], told: list[str]) -> None:
    found = find_undelivered(Outbox({}, [DELIVERY | pending]), NOW, HOUR)
    assert [word for word, text in zip(told, found, strict=True) if word in text] == told


@pytest.mark.parametrize(("cron", "hours"), [("*/10 * * * *", 1 / 6), ("0 * * * *", 1), ("0 8 * * *", 24), ("0 8 * * 1", 168)])
def test_the_interval_of_a_cron(cron: str, hours: float) -> None:
    assert find_interval(cron, NOW) == hours * HOUR
