"""The flow that replays a batch: the numbers, the alerts and the charts as artifacts, no row written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.flows import load_flow_from_entrypoint

from tests.prefect_runs import read_artifacts
from tests.world import at, series

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("api")]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def backtest() -> Iterator[Any]:
    path = list(sys.path)
    yield load_flow_from_entrypoint(f"{ROOT}/flows/backtest.py:backtest")
    sys.path[:] = path  # Prefect leaves its folders in front


def test_a_batch_is_replayed_by_present_and_proposed_settings(world, backtest):
    world.put(series("orders", 330, spikes=[300]))
    world.run("ingest", as_of=at(330))
    before = world.snapshot
    state = backtest(batch="shop", as_of=at(330), settings={"alert_threshold": "0.5"}, return_state=True)
    assert state.name == "Completed"
    assert state.message.startswith("backtest: ")
    assert " appear, " in state.message
    assert world.snapshot == before
    found = read_artifacts("backtest-shop")
    assert "## Alerts that appear" in found[0].data
    assert "| spike found |" in found[0].data


def test_a_batch_without_rows_fails_and_says_what_to_do(world, backtest):
    world.put(series("orders", 1))
    world.run("ingest", as_of=at(1))
    state = backtest(batch="shop", as_of=at(-5), return_state=True)
    assert state.name == "Failed"
    assert "anomflow run ingest shop" in state.message
