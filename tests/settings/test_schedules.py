"""Schedules mean to us what they mean to Prefect, which runs them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from cronsim import CronSim
from prefect.client.schemas.schedules import CronSchedule
from prefect.server.schemas.schedules import CronSchedule as ServerSchedule

from anomflow.batches import load_batch
from anomflow.batches.schedules import find_schedule_error
from anomflow.crons import open_cron
from anomflow.setting_types import expand_cron
from anomflow.spec import JOBS, BatchSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", " @Daily "]
PLAIN = ["*/10 * * * *", "0 9-17 * * MON-FRI", "0 0 L * *", "0 0 * * 1#2", "0 0 * * 7", "15 */1 * * *", "*/180 * * * *", "0 0 29 2 *"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_five_fields_that_prefect_takes_it_for(name: str) -> None:
    fields = str(expand_cron(name))

    assert find_schedule_error(fields) is None
    assert CronSchedule(cron=name.strip().lower()).cron == name.strip().lower()
    assert next(CronSim(fields, START)) > START


@pytest.mark.parametrize("schedule", PLAIN)
def test_what_is_accepted_here_is_accepted_by_prefect(schedule: str) -> None:
    assert find_schedule_error(schedule) is None
    assert CronSchedule(cron=schedule).cron == schedule


@pytest.mark.parametrize("schedule", ["", "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * * * * *", "0 0 1W * *", "1-70 * * * *", "0 0 31 2 mon"])
def test_what_is_no_schedule_or_never_fires_is_told(schedule: str) -> None:
    assert find_schedule_error(schedule) is not None


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("0 0 LW * *", "in which LW is a day that Prefect does not know"),
        ("0 0 * * 5L", "in which 5L is a weekday that Prefect does not know"),
        ("0 9-9 * * *", "in which 9-9 is everything to Prefect; write the value once"),
        ("0 0 * * Mon-MON", "in which Mon-MON is everything to Prefect"),
        ("0 0 13 * 5#2", "with that Prefect starts nothing; leave the day *"),
    ],
)
def test_what_prefect_refuses_or_reads_as_something_else_is_told(schedule: str, words: str) -> None:
    assert words in str(find_schedule_error(schedule))


BOTH = ["0 6 */15 * mon", "0 6 13 * */2", "0 6 */1 * mon", "0 6 1-31 * fri", "30 6 1,15 2-4 0-7", "0 6 */10 * */3", "0 6 5 * 1-7"]


@pytest.mark.parametrize("schedule", BOTH)
def test_days_of_the_month_and_of_the_week_are_read_as_prefect_reads_them(schedule: str) -> None:
    prefect = asyncio.run(ServerSchedule(cron=schedule).get_dates(6, START))

    assert [next(times) for times in [open_cron(schedule, START)] for _ in range(6)] == prefect


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(("text", "scheduled"), [("", True), ("RUNNING", True), ("stopped", False), (" Stopped ", False)])
def test_a_job_says_whether_its_schedule_is_active(job, text: str, scheduled: bool, write_metrics) -> None:
    line = f"{job}_default_schedule_status: '{text}'\n" if text else ""
    folder = write_metrics({"x.yaml": f"metric_batch: x\ningest_sql: select 1\n{line}"})

    assert load_batch(folder, "x", {}).spec.is_scheduled(job) is scheduled


def test_a_disabled_job_is_not_scheduled() -> None:
    spec = BatchSpec.model_validate({"common": {"metric_batch": "x"}, "plot": {"disable_plot": True}})

    assert [job for job in JOBS if spec.is_scheduled(job)] == [job for job in JOBS if job != "plot"]
