"""Laws 1 to 3 under random schedules: jobs in any order between rows that come on time, late, corrected, twice or not yet."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.world import START, Clock, Mailbox, World, at, series

JOBS = ("ingest", "train", "score", "alert")
HISTORY = 100  # hours that are there before a schedule begins
LONGEST = 180
WINDOW = timedelta(days=14)
POINT = ["metric_name", "metric_timestamp"]

hours_back = st.integers(1, 30)
step = st.one_of(
    st.tuples(st.just("job"), st.sampled_from(JOBS)),
    st.tuples(st.just("job"), st.sampled_from(JOBS)),
    st.tuples(st.just("wait"), st.integers(1, 4)),
    st.tuples(st.just("spike"), st.integers(1, 2)),
    st.tuples(st.just("hold"), st.integers(1, 3)),
    st.tuples(st.just("release"), st.just(0)),
    st.tuples(st.just("worsen"), hours_back),
    st.tuples(st.just("repair"), hours_back),
    st.tuples(st.just("repeat"), hours_back),
    st.tuples(st.just("appear"), st.integers(1, 60)),
    st.tuples(st.just("outage"), st.integers(1, 3)),
)


class Story:
    """What happens to a world: each step is a method that takes the number beside its name."""

    def __init__(self, world: World, mailbox: Mailbox) -> None:
        self.world, self.mailbox = world, mailbox
        self.hour = HISTORY - 1
        self.metrics = {"orders": series("orders", LONGEST)}
        self.held = self.metrics["orders"].clear()
        self.messages: dict[str, str] = {}

    def row(self, name: str, hour: int, change: float = 0.0) -> pl.DataFrame:
        return self.metrics[name][hour : hour + 1].with_columns(pl.col("metric_value") + change)

    def every(self, hour: int, change: float = 0.0) -> pl.DataFrame:
        return pl.concat([self.row(name, hour, change) for name in self.metrics])

    def job(self, name: str) -> None:
        self.world.run(name, as_of=at(self.hour))
        told = self.world.alerts().drop_nulls("message_id").select("alert_id", "message_id").rows()
        for alert_id, message_id in told:
            assert self.messages.setdefault(alert_id, message_id) == message_id

    def wait(self, hours: int, change: float = 0.0) -> None:
        for _ in range(hours):
            self.hour += 1
            self.world.put(self.every(self.hour, change))

    def spike(self, hours: int) -> None:
        self.wait(hours, change=200)

    def hold(self, hours: int) -> None:
        """Let rows of these hours come later than the next ones, the first far outside."""
        rows = [self.every(self.hour + hour + 1, change=0 if hour else 200) for hour in range(hours)]
        self.held = pl.concat([self.held, *rows])
        self.hour += hours
        self.wait(1)

    def release(self, _: int) -> None:
        self.world.put(self.held)
        self.held = self.held.clear()

    def worsen(self, back: int) -> None:
        self.world.put(self.row("orders", self.hour - back, change=300))

    def repair(self, back: int) -> None:
        self.world.put(pl.concat([self.row("orders", hour) for hour in range(self.hour - back, self.hour + 1)]))

    def repeat(self, back: int) -> None:
        self.world.sql(f"insert into source by name select * from source where metric_timestamp > timestamptz '{at(self.hour - back)}'")

    def appear(self, rows: int) -> None:
        """Let a second metric begin, or give it an older past than it had."""
        self.metrics["returns"] = series("returns", LONGEST, seed=7)
        self.world.put(pl.concat([self.row("returns", hour) for hour in range(self.hour - rows, self.hour + 1)]))

    def outage(self, mails: int) -> None:
        self.mailbox.answers = ["451 try later"] * mails

    def end(self) -> None:
        """Let everything arrive, the server recover, and each job run once more, alert also after every back-off."""
        self.release(0)
        self.mailbox.answers.clear()
        self.finish()
        self.world.clock.moment += timedelta(hours=2)
        self.job("alert")

    def finish(self) -> None:
        for name in JOBS:
            self.job(name)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of a world with a history that was learned and scored."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("prepared")
        patch.setenv("ANOMFLOW_HOME", str(folder / "home"))
        (folder / "home").mkdir()
        world = World(folder, Clock(START))
        world.configure()
        world.put(series("orders", HISTORY))
        world.run(*JOBS, as_of=at(HISTORY - 1), send=False)
    return folder / "home"


def read_scores(world: World) -> pl.DataFrame:
    """Return each scored row, with whether it reaches its threshold and whether an alert stands there that was not withdrawn."""
    scores = world.sql("""
        select metric_name, metric_timestamp,
               1 - pow(5, -cast(metadata ->> '$.A' as double) / 2) >= cast(metadata ->> '$.threshold' as double) as anomalous
        from metrics where metric_type = 'score' and metric_value is not null
    """)
    standing = world.alerts(kind="anomaly").filter(pl.col("status") != "resolved").select(*POINT, alerted=pl.lit(value=True))
    return scores.join(standing, on=POINT, how="full", coalesce=True).with_columns(pl.col("anomalous", "alerted").fill_null(value=False))


def check_end(story: Story) -> None:
    world, mails = story.world, story.mailbox.ids
    assert world.uncovered(at(story.hour) - WINDOW).is_empty()
    assert len(set(mails)) == len(mails)
    assert world.alerts()["alert_id"].is_unique().all()
    opened = world.alerts(status="open")
    sent = world.table("_deliveries").filter(pl.col("state") == "sent")
    assert set(opened["message_id"]) <= set(sent["message_id"])
    assert len(mails) == sent.height
    assert read_scores(world).filter(pl.col("anomalous") != pl.col("alerted")).is_empty()


@pytest.mark.timeout(900)  # a minute, on a machine that does nothing else
@given(steps=st.lists(step, min_size=4, max_size=14))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_schedule_judges_every_row_and_tells_every_alert_once(
    prepared: Path, world: World, mailbox: Mailbox, steps: list[tuple[str, Any]]
) -> None:
    world.configure("alert_methods: [email]\n")
    shutil.rmtree(world.folder / "home")
    shutil.copytree(prepared, world.folder / "home")
    world.clock.moment = at(HISTORY - 1)
    mailbox.mails.clear()
    story = Story(world, mailbox)
    for name, argument in steps:
        act: Callable[[Any], None] = getattr(story, name)
        act(argument)
    story.end()
    note(str(world.alerts().drop("tags", "expected_low", "expected_high", "surprise").rows()))

    check_end(story)
    before, told = world.snapshot, list(mailbox.ids)
    story.finish()
    assert world.snapshot == before
    assert mailbox.ids == told
