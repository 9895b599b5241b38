"""Laws 4 and 9: one bad metric is one bad metric, one bad file is one bad file, and a first run never floods."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from anomflow.errors import SettingsError

HOSTILE = ["a'; drop table metrics; --", "a/b\n", 'quote"d', "{{ 7 * 7 }}", "<script>alert(1)</script>", "naïve ☃"]


def test_hostile_and_odd_metrics_do_not_disturb_their_neighbours(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    flat = series("constant", 330).with_columns(metric_value=pl.lit(5.0))
    huge = series("huge", 330, spikes=[327]).with_columns(
        pl.when(pl.col("metric_value") > 200).then(1e308).otherwise("metric_value").alias("metric_value")
    )
    world.put(
        pl.concat(
            [
                series("good", 330, spikes=[327]),
                flat,
                huge,
                series("three rows", 3),
                *(series(name, 330, spikes=[327], seed=9) for name in HOSTILE),
            ]
        )
    )
    outcomes = world.run("ingest", "train", "score", "alert", as_of=at(329))

    assert [outcome.failures for outcome in outcomes] == [{}, {}, {}, {}]
    alerted = set(world.alerts(kind="anomaly", status="open")["metric_name"])
    assert alerted == {"good", "huge", *HOSTILE}
    assert world.uncovered(at(0)).is_empty()
    (mail,) = mailbox.mails
    assert "<script>" not in mail.get_body(("html",)).get_content()


def test_half_written_file_beside_a_good_batch_leaves_it_alone(world, series, at):
    bad = world.folder / "metrics" / "broken" / "broken.yaml"
    bad.parent.mkdir()
    bad.write_text("metric_batch: broken\ningest_sql: >\n  select 1\n tags: [unfinished\n")
    world.put(series("orders", 60))
    assert world.run("ingest", as_of=at(59))[0].counts["new"] == 60
    with pytest.raises(SettingsError, match=r"broken\.yaml:\d+:"):
        world.run("ingest", batch="broken")


def test_first_run_over_a_long_history_sends_nothing_old(world, mailbox, series, at):
    world.configure("alert_methods: [email]\n")
    world.put(series("orders", 400, spikes=[200, 250, 300, 350]))
    world.run("ingest", "train", "score", "alert", as_of=at(399))
    found = world.alerts(kind="anomaly")
    assert set(found["status"]) == {"late"}
    assert found.height >= 4
    assert mailbox.mails == []


def test_age_limit_counts_from_the_point_to_its_detection(world, mailbox, series, at):
    world.configure("alert_methods: [email]\nalert_max_age: 3h\ndisable_freshness: true\n")
    world.put(series("orders", 321, spikes=[320]))
    world.run("ingest", "train", "score", "alert", as_of=at(320) + timedelta(hours=2))
    assert world.status_at(320, "orders") == "open"
    world.put(series("returns", 321, spikes=[320]))
    world.run("ingest", "train", "score", "alert", as_of=at(320) + timedelta(hours=4))
    assert world.status_at(320, "returns") == "late"
    assert len(mailbox.mails) == 1


def test_a_model_like_that_of_another_batch_stays_when_the_other_version_is_dropped(world, series, at):
    for batch in ("shop", "other"):
        world.configure("model_keep_n: 1\n", batch=batch)
        world.put(series("orders", 5))
        world.run("ingest", "train", as_of=at(4), batch=batch)  # of too few rows: a model without metrics, the same for both
    assert world.table("_models").select(pl.col("sha256", "object_name").n_unique()).row(0) == (1, 2)
    world.put(series("orders", 100))
    world.run("ingest", "train", as_of=at(99))
    (outcome,) = world.run("score", as_of=at(99), batch="other")
    assert outcome.notes == ()
