"""Law 1: every point is judged once per value, and no point alerts twice, whatever the order of jobs and rows."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import polars as pl
import pytest

from tests.world import STAGES

WINDOW = timedelta(days=14)


# Every fourth order; test_schedules draws any.
@pytest.mark.parametrize("order", list(permutations(["ingest", "train", "score", "alert"]))[::4], ids="-".join)
def test_every_order_of_crons_judges_every_row_and_tells_each_alert_once(world, mailbox, series, at, order):
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 330, spikes=[305, 325]))
    for hour in (300, 306, 307, 326):
        world.run(*order, as_of=at(hour))
    world.run("ingest", "train", "score", "alert", as_of=at(336))

    assert world.uncovered(at(336) - WINDOW).is_empty()
    opened = world.alerts(kind="anomaly", status="open")["metric_timestamp"].to_list()
    assert [at(305) - timedelta(seconds=1), at(325) - timedelta(seconds=1)] == [t for t in opened if t >= at(300)]
    # Where alert ran before ingest the source was overdue, which is told and resolved as its rows come.
    assert len(set(mailbox.ids)) == len(mailbox.ids) == world.alerts()["message_id"].drop_nulls().n_unique()


def test_late_row_is_judged_and_its_neighbours_keep_their_scores(world, series, at):
    rows = series("orders", 330, spikes=[310])
    world.put(rows.filter(pl.col("metric_timestamp") != rows["metric_timestamp"][310]))
    world.run("ingest", "train", "score", as_of=at(320))
    before = world.sql("select metric_timestamp, metadata from metrics where metric_type = 'score' order by all").rows()
    world.put(rows)
    world.run("ingest", "score", as_of=at(321))

    assert world.uncovered(at(321) - WINDOW).is_empty()
    after = world.sql("select metric_timestamp, metadata from metrics where metric_type = 'score' order by all").rows()
    assert set(before) < set(after)
    assert world.alerts(kind="anomaly", status="open")["metric_timestamp"].to_list() == [rows["metric_timestamp"][310]]


def test_rows_that_cannot_be_scored_are_counted_with_their_reason(world, series, at):
    rows = pl.concat([series("orders", 330), series("noise", 330, seed=2), series("young", 330, seed=3)[-5:]])
    broken = rows.with_columns(
        pl.when((pl.col("metric_name") == "orders") & (pl.col("metric_timestamp") == at(326) - timedelta(seconds=1)))
        .then(float("nan"))
        .otherwise("metric_value")
        .alias("metric_value"),
    )
    world.configure("score_exclude_metrics: [noise]\n")
    world.put(broken)
    world.run("ingest", "train", "score", as_of=at(330))

    reasons = world.sql("""
        select metric_name, metadata ->> '$.reason' as reason, count(*) as rows, count(metric_value) as scored
        from metrics where metric_type = 'score' and (metadata ->> '$.reason') is not null group by all order by all
    """).rows()
    assert ("noise", "excluded", 330, 0) in reasons
    assert ("orders", "not_finite", 1, 0) in reasons
    assert ("young", "cold_start", 5, 0) in reasons
    assert world.uncovered(at(330) - WINDOW).is_empty()


def test_first_scoring_judges_the_newest_rows_only(world, series, at):
    world.configure("score_max_n: 30\n")
    world.put(series("orders", 330, spikes=[250]))
    world.run("ingest", "train", "score", as_of=at(330))

    scored = world.sql("select count(metric_value) as scored from metrics where metric_type = 'score'")
    assert scored.item() == 30
    assert world.uncovered(at(330) - WINDOW).is_empty()
    assert world.alerts(kind="anomaly").is_empty()


def test_live_run_keeps_and_judges_what_its_source_measured_while_it_ran(world, series, at):
    world.put(series("orders", 330, spikes=[325]))
    world.clock.moment = at(324)
    run = world.open()
    world.clock.moment = at(325)
    [STAGES[job](run) for job in ("ingest", "train", "score")]
    assert world.status_at(325) == "open"
    assert world.table().filter(metric_type="metric").height == 330


def test_late_row_is_judged_though_others_took_one_of_its_metric_away(world, series, at):
    rows = series("orders", 330)
    world.put(rows.filter(pl.col("metric_timestamp") != rows["metric_timestamp"][310]))
    world.run("ingest", "train", "score", as_of=at(320))
    world.sql(
        f"delete from metrics where metric_type = 'metric' and metric_timestamp = timestamptz '{rows['metric_timestamp'][300].isoformat()}'"
    )
    world.put(rows[310:311])
    world.sql(f"delete from source where metric_timestamp = timestamptz '{rows['metric_timestamp'][300].isoformat()}'")
    world.run("ingest", "train", "score", as_of=at(321))
    assert world.uncovered(at(321) - WINDOW).is_empty()
