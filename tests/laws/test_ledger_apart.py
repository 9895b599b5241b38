"""A ledger in a database of its own: the laws hold, and whatever commit a run dies at, the next run ends in the same place.

Here runs die by an exception that nothing catches; ``tests/services/test_ledger_killed.py`` kills processes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from anomflow.errors import WarehouseError
from anomflow.frames import OBSERVATIONS
from anomflow.ledger.feedback import Given, Opinion, read_opinions, record_feedback
from blocks.pairing import PairedWarehouse
from blocks.warehouses.duckdb import DuckDBWarehouse
from tests.apart import ApartWorld
from tests.laws.test_crashes import make_mortal
from tests.services.remote import run_at_once
from tests.world import HOUR, STAGES, START, Clock, Mailbox, at, series

SPIKE = 127
SPIKED = START + SPIKE * HOUR
KINDS = {"ingest": "threshold", "score": "anomaly"}
THRESHOLD = "alert_methods: [email]\ntholdalert_thresholds: {orders: {upper: 290}}\n"


class Died(BaseException):
    """What nothing catches."""


class Ending:
    """Ends a run at the commit of a given number, before or after it; counts them."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.met = 0

    def pass_by(self) -> None:
        self.met += 1
        if self.met == self.number:
            raise Died


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApartWorld:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shop = ApartWorld(tmp_path, Clock(START))
    shop.configure(THRESHOLD)
    shop.put(series("orders", 130, spikes=[SPIKE]))
    return shop


def run_to_death(shop: ApartWorld, job: str, number: int) -> int:
    """Run a job up to a commit of a number (0: none); return how many were met."""
    run, ending = shop.open(at(129)), Ending(number)
    run.warehouse = make_mortal(run.warehouse, ending)  # type: ignore[arg-type]
    with suppress(Died):
        STAGES[job](run)
    return ending.met


def tables_of(shop: ApartWorld) -> dict[str, Any]:
    """Return all that the databases hold, but for times of the clock and ids of runs."""
    return {
        "rows": shop.table().rows(),
        "alerts": shop.table("_alerts").rows(),
        "deliveries": shop.table("_deliveries").select("message_id", "channel", "state").rows(),
    }


def test_an_anomaly_is_told_once_and_recorded_only_in_the_ledger_of_its_own(shop: ApartWorld, mailbox: Mailbox) -> None:
    shop.run("ingest", "train", "score", "alert", as_of=at(129))
    assert {row[0] for row in shop.sql("select table_name from duckdb_tables()").rows()} == {"source", "metrics", "metrics_models"}
    assert sorted(shop.alerts(metric_timestamp=SPIKED)["kind"]) == ["anomaly", "threshold"]
    assert shop.table("_deliveries")["state"].to_list() == ["sent"]
    before = shop.snapshot
    shop.run("ingest", "train", "score", "alert", as_of=at(129))
    assert shop.snapshot == before
    assert len(mailbox.mails) == 1
    shop.put(series("orders", 130)[SPIKE : SPIKE + 1])
    shop.run("ingest", "score", "alert", as_of=at(129.5))
    assert set(shop.alerts(metric_timestamp=SPIKED)["status"]) == {"resolved"}
    assert shop.uncovered(at(0)).is_empty()
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(("job", "before", "numbers"), [("ingest", (), (5, 6, 8)), ("score", ("ingest", "train"), (6,))])
def test_a_run_that_dies_at_a_commit_of_either_database_loses_and_repeats_nothing(
    shop: ApartWorld, tmp_path: Path, job: str, before: tuple[str, ...], numbers: tuple[int, ...]
) -> None:
    shop.run(*before, as_of=at(129))
    shutil.copytree(shop.folder / "home", tmp_path / "kept")
    # Making the tables, and what is written then: before and after the commit of the ledger, then of the rows.
    assert run_to_death(shop, job, 0) == 8
    expected = tables_of(shop)
    for number in numbers:
        shutil.rmtree(shop.folder / "home")
        shutil.copytree(tmp_path / "kept", shop.folder / "home")
        assert run_to_death(shop, job, number) == number
        is_recorded = shop.alerts(metric_timestamp=SPIKED, kind=KINDS[job]).height == 1
        assert is_recorded == (number > 5)
        shop.run(job, as_of=at(129))
        assert tables_of(shop) == expected, number


def test_a_corrected_value_whose_run_dies_between_the_commits_is_told_of_no_more(shop: ApartWorld) -> None:
    shop.run("ingest", as_of=at(129))
    shop.put(series("orders", 130)[SPIKE : SPIKE + 1])
    assert run_to_death(shop, "ingest", 6) == 6
    shop.run("ingest", as_of=at(129.5))
    assert shop.alerts(kind="threshold")["status"].to_list() == ["resolved"]


def test_feedback_whose_writer_dies_between_the_commits_is_completed_by_saying_it_again(shop: ApartWorld) -> None:
    shop.run("ingest", as_of=at(129))
    alert_id = shop.alerts(kind="threshold")["alert_id"].item()
    opinion, warehouse = Opinion(alert_id, "up", "", at(129)), shop.open(at(129)).warehouse
    with suppress(Died), make_mortal(warehouse, Ending(2)).writing() as session:  # type: ignore[arg-type]
        record_feedback(session, "metrics", opinion)
    assert (shop.alerts(alert_id=alert_id)["feedback"].item(), shop.table().filter(metric_type="thumbsup").height) == ("up", 0)
    with warehouse.writing() as session:
        assert record_feedback(session, "metrics", opinion) == Given(found=True)
        assert read_opinions(session, "metrics", "shop")["alert_id"].to_list() == [alert_id]
    assert shop.table().filter(metric_type="thumbsup").height == 1


def test_batches_that_keep_their_ledgers_in_each_others_database_do_not_wait_for_each_other(tmp_path: Path) -> None:
    one, other = (DuckDBWarehouse(path=str(tmp_path / name), lock_timeout_seconds=20) for name in ("a.duckdb", "b.duckdb"))
    row = pl.DataFrame({name: [None] for name in OBSERVATIONS.columns}, schema=OBSERVATIONS.columns)

    def write(pair: PairedWarehouse, wait: Callable[[], object]) -> None:
        wait()
        for number in range(5):
            with pair.writing() as session:
                for side in (session, session.ledger):
                    side.ensure_table(OBSERVATIONS, "t")
                    key = {"metric_timestamp": at(number), "metric_batch": pair.location, "metric_name": "m", "metric_type": "metric"}
                    side.upsert(OBSERVATIONS, "t", row.with_columns(pl.lit(value).alias(name) for name, value in key.items()))

    pairs = iter([PairedWarehouse(one, other), PairedWarehouse(other, one)])
    assert run_at_once(2, lambda wait: write(next(pairs), wait)) == []
    for warehouse in (one, other):
        with warehouse.reading() as session:
            assert session.read("select count(*) as n from t")["n"].item() == 10


def test_a_ledger_db_that_leads_to_the_database_of_the_rows_is_refused(shop: ApartWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOMFLOW_SQLITE_PATH", str(shop.folder / "home" / ".." / "home" / "anomflow.duckdb"))
    with pytest.raises(WarehouseError, match=r"ledger_db: 'sqlite' leads to .*anomflow.duckdb, and db \('duckdb'\) too"):
        shop.open(at(129))


def test_a_ledger_that_cannot_be_reached_undoes_the_rows_too(shop: ApartWorld) -> None:
    shop.run("ingest", as_of=at(100))
    before = shop.table().rows()
    (shop.folder / "home" / "anomflow.sqlite").write_bytes(b"no database")
    shop.put(series("orders", 130, spikes=[128]))
    with pytest.raises(WarehouseError, match="is not a sqlite database"):
        shop.run("ingest", as_of=at(129))
    assert shop.table().rows() == before
