"""The demo's batches: real rows, and faults where their descriptions say."""

from __future__ import annotations

import json
import runpy
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "metrics" / "examples" / "demo"
NAMES = ("machine", "orders", "seattle", "waterflow")
COLUMNS = {"metric_timestamp", "metric_name", "metric_value"}


def ingest(name: str) -> pl.DataFrame:
    return runpy.run_path(str(DEMO / name / f"{name}.py"))["ingest"]()


def read_faults(name: str) -> pl.DataFrame:
    text = (DEMO / name / "faults.json").read_text(encoding="utf-8")
    return pl.DataFrame(json.loads(text)["faults"]).with_columns(pl.col("first", "last").str.to_datetime(time_zone="UTC"))


def find_faulty(rows: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    """Return the rows within a fault of their metric, first and last included."""
    return rows.join(faults, on="metric_name").filter(pl.col("metric_timestamp").is_between("first", "last"))


@pytest.fixture(scope="module")
def water() -> pl.DataFrame:
    return ingest("waterflow")


@pytest.fixture(scope="module")
def orders() -> pl.DataFrame:
    sql = pytest.importorskip("anomflow.sql")
    batches = pytest.importorskip("anomflow.batches")
    batch = batches.load_batch(DEMO, "orders", {})
    query = sql.render(batch.template("ingest_sql"), batch.variables(), sql.AnsiQuoting())
    with duckdb.connect() as connection:
        connection.execute((DEMO / "orders" / "orders_table.sql").read_text(encoding="utf-8"))
        return connection.sql(query).pl().with_columns(pl.col("metric_timestamp").dt.replace_time_zone("UTC"))


@pytest.mark.parametrize("folder", [DEMO, ROOT / "metrics"], ids=["alone", "among all"])
@pytest.mark.parametrize("name", NAMES)
def test_settings_are_valid_from_either_metrics_folder(name: str, folder: Path) -> None:
    batches = pytest.importorskip("anomflow.batches")
    assert batches.load_batch(folder, name, {}).name == name


@pytest.mark.parametrize("name", ["waterflow", "seattle", "machine"])
def test_functions_return_the_three_columns(name: str) -> None:
    rows = ingest(name)
    assert set(rows.columns) == COLUMNS
    assert rows["metric_value"].is_finite().all()
    assert rows.select("metric_name", "metric_timestamp").is_unique().all()


def test_water_flow_is_what_river_gives(water: pl.DataFrame) -> None:
    datasets = pytest.importorskip("river.datasets")
    expected = [(features["Time"].astimezone(UTC), flow) for features, flow in datasets.WaterFlow()]
    assert water.select("metric_timestamp", "metric_value").rows() == expected


def test_every_abnormal_flow_is_within_a_described_fault(water: pl.DataFrame) -> None:
    faulty = find_faulty(water, read_faults("waterflow"))
    low = water.filter(pl.col("metric_value") < 98)
    peak = water.filter(pl.col("metric_value") > 108)
    assert faulty["metric_timestamp"].sort().to_list() == pl.concat([low, peak])["metric_timestamp"].sort().to_list()


def test_water_flow_has_the_four_faults_of_its_description() -> None:
    faults = read_faults("waterflow")
    assert faults["kind"].value_counts().sort("kind").rows() == [("low flow", 3), ("peak", 1)]
    assert (faults["last"] >= faults["first"]).all()
    assert (faults["first"][1:] > faults["last"][:-1]).all()


def test_weather_is_what_vega_datasets_gives() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old package beside a new pandas
        data = pytest.importorskip("vega_datasets").data
        expected = pl.from_pandas(data.seattle_weather()[["date", "temp_max", "wind", "precipitation"]])
    wide = ingest("seattle").pivot("metric_name", index="metric_timestamp", values="metric_value")
    assert wide.rows() == expected.select("date", *wide.columns[1:]).rows()


def test_the_machine_is_measured_now() -> None:
    rows = ingest("machine")
    now = datetime.now(UTC)
    assert set(rows["metric_name"]) == {"cpu_percent", "memory_percent", "disk_percent", "load_per_cpu"}
    assert rows["metric_timestamp"].n_unique() == 1
    assert now - timedelta(minutes=1) < rows["metric_timestamp"][0] <= now
    assert rows["metric_value"].is_between(0, 1000).all()


def test_orders_have_a_row_for_every_hour_and_metric(orders: pl.DataFrame) -> None:
    steps = orders.sort("metric_timestamp").group_by("metric_name").agg(pl.col("metric_timestamp").diff().drop_nulls().unique(), pl.len())
    assert sorted(steps.rows()) == [(name, [timedelta(hours=1)], 1364) for name in ("orders_de", "orders_fr", "orders_it", "revenue")]


def test_orders_are_the_same_on_every_machine(orders: pl.DataFrame) -> None:
    totals = dict(orders.group_by("metric_name").agg(pl.col("metric_value").sum().round(2)).rows())
    assert totals == {"orders_de": 62834, "orders_fr": 39320, "orders_it": 27691, "revenue": 6483494.23}


def test_the_outage_stands_out_of_the_orders(orders: pl.DataFrame) -> None:
    faults = read_faults("orders").filter(metric_name="orders_de")
    week_before = faults.with_columns(pl.col("first", "last") - timedelta(days=7))
    faulty, normal = (find_faulty(orders, interval)["metric_value"] for interval in (faults, week_before))
    assert faulty.len() == normal.len() == 4
    assert faulty.max() < 5
    assert normal.min() > 20
