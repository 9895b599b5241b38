"""Law 7: what a run leaves in the log grows with its stages, never with its metrics."""

from __future__ import annotations

import polars as pl
import pytest

from flows.outcomes import Outcome, completed, finish
from tests.world import at, series


@pytest.mark.parametrize("metrics", [1, 40])
def test_a_stage_logs_one_line_however_many_metrics_there_are(caplog, world, mailbox, metrics):
    caplog.set_level("INFO")
    world.put(pl.concat([series(f"m{number}", 60) for number in range(metrics)]))
    world.run("ingest", "train", "score", "alert", as_of=at(59))
    assert len([record for record in caplog.records if record.name.startswith("prefect")]) == 4


def test_failed_metrics_share_one_line_and_are_counted(caplog, world):
    caplog.set_level("INFO")
    outcome = Outcome("score", {"scored": 1}, {f"metric {number}": "ValueError: too odd" for number in range(40)})
    assert finish(world.open(at(1)), outcome) is outcome
    (line,) = [record.getMessage() for record in caplog.records]
    assert "40 metrics failed" in line
    assert "'metric 0': ValueError: too odd" in line
    assert len(line) < 400
    assert str(completed(outcome).message).endswith("[40 failures]")
