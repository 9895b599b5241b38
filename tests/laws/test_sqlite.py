"""The chain on SQLite, which tells no type of a column without a value: of the first runs' empty results."""

from __future__ import annotations

import pytest

from flows.plot import plot_stage


@pytest.mark.parametrize("freq", ["", "freq: 1h\n"])
def test_the_chain_runs_twice_on_an_empty_and_a_full_warehouse(world, mailbox, series, at, freq):
    world.configure(f"db: sqlite\ningest_db: duckdb\nalert_methods: [email]\n{freq}")
    world.put(series("orders", 330, spikes=[327])[:0])
    empty = world.run("ingest", "train", "score", "alert", as_of=at(329))
    assert plot_stage(world.open(at(329))).counts["metrics"] == 0
    assert {count for outcome in empty for count in outcome.counts.values()} == {0}
    world.put(series("orders", 330, spikes=[327]))
    ingested, trained, scored, alerted = world.run("ingest", "train", "score", "alert", as_of=at(330.5))
    assert (ingested.counts["new"], trained.counts["metrics_rebuilt"]) == (330, 1)
    assert scored.counts["scored"] + scored.counts["without_a_score"] == 330
    assert alerted.counts["sent"] == len(mailbox.mails) == 1
    again = world.run("ingest", "train", "score", "alert", as_of=at(330.5))
    assert [again[0].counts["unchanged"], again[2].counts, again[3].counts["sent"]] == [330, {}, 0]
