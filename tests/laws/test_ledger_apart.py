"""A ledger in a database of its own: the laws hold, whatever write of either database a run dies at."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from anomflow.errors import WarehouseError
from anomflow.frames import ALERTS, DELIVERIES, SCORE
from anomflow.ledger.feedback import Given, Opinion, record_feedback
from blocks.pairing import PairedWarehouse
from flows.jobrun import Run
from tests.laws.test_crashes import Mortal
from tests.world import STAGES, World, at, series

JOBS = ("ingest", "train", "score", "change", "alert")
SETTINGS = "ledger_db: sqlite\nalert_methods: [email]\ntholdalert_thresholds: {orders: {upper: 290}}\n"


class Died(BaseException):
    """What a killed run is to the code that it ran: nothing catches it, and nothing more is sent or written."""


class Killer:
    """Ends a run at the effect of a given number; counts them."""

    def __init__(self, number: int = -1) -> None:
        self.number = number
        self.met = 0

    def pass_by(self) -> None:
        self.met += 1
        if self.met == self.number:
            raise Died


@pytest.fixture
def shop(world: World) -> World:
    world.configure(SETTINGS)
    world.put(series("orders", 200, spikes=[197]))
    return world
