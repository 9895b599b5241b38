"""The commands on a batch whose ledger lies in a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from anomflow.doctor import find_connections
from tests.apart import ApartWorld
from tests.cli.commands_run import invoke, read
from tests.world import HOUR, START, Clock, at, series

SPIKE = "2026-01-02T03:00"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApartWorld]:
    folder = tmp_path_factory.mktemp("apart")
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("ANOMFLOW_HOME", str(folder / "home"))
        world = ApartWorld(folder, Clock(START))
        world.configure("alert_methods: [file]\ntholdalert_thresholds: {orders: {upper: 290}}\n")
        world.configure("alert_methods: [file]\n", batch="empty")
        world.put(series("orders", 30, spikes=[27]))
        world.run("ingest", "alert", as_of=at(30))
        yield world


def test_query_asks_the_rows_or_the_ledger(shop: ApartWorld) -> None:
    assert read(shop, "query", "shop", "select count(*) as n from metrics")["rows"] == [{"n": 30}]
    asked = read(shop, "query", "shop", "select kind, typeof(metric_timestamp) as t from metrics_alerts", "--ledger")
    assert asked["rows"] == [{"kind": "threshold", "t": "text"}]
    refused = invoke(shop, "query", "shop", "select * from metrics_alerts")
    assert refused.exit_code == 1
    assert "metrics_alerts and metrics_deliveries lie in ledger_db (sqlite); ask it with --ledger" in refused.stderr


def test_query_asks_the_one_database_by_either_name_where_there_is_one(shop: ApartWorld) -> None:
    both = [read(shop, "query", "empty", "select 1 as one", *words)["rows"] for words in ((), ("--ledger",))]
    assert both == [[{"one": 1}]] * 2


def test_alerts_status_explain_and_list_read_both(shop: ApartWorld) -> None:
    (alert,) = read(shop, "alerts", "list", "shop")["alerts"]
    assert (alert["kind"], alert["status"]) == ("threshold", "open")
    told = invoke(shop, "explain", "shop", "orders", SPIKE).stdout
    assert "threshold alert" in told
    assert "delivery by file" in told
    status = next(row for row in read(shop, "status", "--since", "2025-12-01", code=3)["batches"] if row["batch"] == "shop")
    assert status["newest"]["delivery"] is not None
    assert status["newest"]["row"] is not None
    listed = next(row for row in read(shop, "list")["batches"] if row["batch"] == "shop")
    assert listed["open_alerts"] == 1


def test_a_ledger_that_is_not_there_yet_reads_as_none_and_is_not_made(shop: ApartWorld) -> None:
    ledger = shop.folder / "home" / "anomflow.sqlite"
    kept = ledger.rename(ledger.with_suffix(".kept"))
    assert read(shop, "alerts", "list", "shop")["alerts"] == []
    (status,) = read(shop, "status", "shop", code=3)["batches"]
    assert (status["newest"]["row"], status["deliveries"], ledger.exists()) == ("2026-01-02T05:00:00Z", {}, False)
    kept.rename(ledger)


def test_feedback_and_resolving_write_into_the_ledger(shop: ApartWorld) -> None:
    (alert,) = shop.alerts(metric_timestamp=START + 27 * HOUR).to_dicts()
    assert read(shop, "feedback", alert["alert_id"], "down", "--note", "known")["changed"]
    assert shop.table().filter(metric_type="thumbsdown").height == 1
    assert read(shop, "alerts", "resolve", alert["alert_id"], "--yes")["alerts"][0]["resolved"]
    (after,) = shop.alerts(alert_id=alert["alert_id"]).to_dicts()
    assert (after["feedback"], after["status"]) == ("down", "resolved")


def test_doctor_looks_at_both(shop: ApartWorld) -> None:
    found = find_connections([shop.open(at(30)).batch])
    assert [connection.ref for connection in found if connection.role == "warehouse"] == ["duckdb", "sqlite"]
