"""The examples that are queries, on small tables in a real DuckDB file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlglot

from anomflow.batches import load_batch
from anomflow.sql import AnsiQuoting, build_query
from tests.examples.conftest import METRICS

NOW = "current_timestamp"
HOUR = f"date_trunc('hour', {NOW})"
DAY = f"date_trunc('day', {NOW})"


@pytest.fixture(params=["timestamp", "timestamptz"])
def kind(request):
    """Return the type of the times in the tables: with a zone or without."""
    return request.param


def named(rows):
    found: dict[str, list[float | None]] = {}
    for _, name, value in rows():
        found.setdefault(name, []).append(value)
    return found


def test_sql_counts_tables_and_rows(home, ingest, rows):
    home.sql("create table a as select * from range(7)")
    ingest("sql")
    assert named(rows)["warehouse_rows"] == [7.0]
    assert named(rows)["warehouse_tables"][0] >= 1


def test_jinja_loop_counts_each_service(home, ingest, rows, kind):
    home.sql(f"""create table requests as select cast(t as {kind}) as finished_at, service, status from (values
        ({HOUR} - interval 90 minute, 'checkout', 200), ({HOUR} - interval 80 minute, 'checkout', 503),
        ({HOUR} - interval 10 minute, 'checkout', 404), ({HOUR} - interval 10 minute, 'search', 500),
        ({HOUR} - interval 10 minute, 'unlisted', 500), ({HOUR} + interval 1 microsecond, 'search', 500)) as v(t, service, status)""")
    ingest("jinja_loop")
    assert named(rows) == {"errors_checkout": [1, 0], "requests_checkout": [2, 1], "errors_search": [1], "requests_search": [1]}


def test_includes_make_one_query(home, ingest, rows, kind):
    home.sql(f"""create table jobs as select cast(t - interval 3 minute as {kind}) as started_at, cast(t as {kind}) as ended_at, failed
        from (values ({HOUR} - interval 30 minute, true), ({HOUR} - interval 20 minute, false), ({HOUR} - interval 9 day, true),
        ({HOUR}, true)) as v(t, failed)""")
    ingest("include")
    assert named(rows) == {"job_minutes": [3.0], "jobs_failed": [1.0]}


def test_freq_takes_raw_rows(home, ingest, rows, kind):
    home.sql(f"""create table payments as select cast(t as {kind}) as paid_at, method, amount from (values
        ({NOW} - interval 61 minute, 'card', 10.5), ({NOW} - interval 61 minute, 'card', 4.5), ({NOW} - interval 1 minute, 'cash', 3),
        ({NOW} - interval 8 day, 'cash', 99)) as v(t, method, amount)""")
    ingest("freq")
    assert named(rows) == {"paid_card": [15.0], "paid_cash": [3.0]}


def test_tags_are_told_with_signups(home, ingest, rows, kind):
    home.sql(f"""create table accounts as select cast(t as {kind}) as created_at, cast(a as {kind}) as activated_at from (values
        ({HOUR} - interval 5 minute, {HOUR}), ({HOUR} - interval 6 minute, null), ({HOUR} - interval 7 minute, null),
        ({HOUR} - interval 8 minute, {NOW}), ({HOUR} + interval 1 microsecond, null)) as v(t, a)""")
    ingest("tags")
    assert named(rows) == {"activation_percent": [50.0], "signups": [4.0]}
    assert load_batch(METRICS, "tags", {}).spec.common.metric_tags["signups"]["owner"] == "growth"


def test_s3_models_has_eight_sensors(home, rows):
    query = build_query("ingest", load_batch(METRICS, "s3_models", {}), AnsiQuoting(), {})
    found = home.sql(query)
    assert found["metric_name"].to_list() == [f"sensor_{number}" for number in range(1, 9)]
    assert found["metric_value"].is_between(20, 21).all()


def test_users_and_sales_by_country_and_full_day(home, ingest, rows, kind):
    home.sql(f"""create table users as select cast(t as {kind}) as created_at, country
        from (values ({DAY} - interval 1 hour, 'de'), ({DAY} - interval 2 hour, 'de'), ({DAY} - interval 1 day, 'fr'),
        ({DAY}, 'us')) as v(t, country)""")
    home.sql(f"create table sales as select cast({DAY} - interval 3 hour as {kind}) as sold_at, 'us' as country, 12.5 as amount")
    ingest("users_sales")
    assert named(rows) == {"sales_us": [12.5], "users_de": [2.0], "users_fr": [1.0]}


def test_warehouse_health_tells_rows_and_freshness(home, ingest, rows, kind):
    home.sql(f"create table orders as select cast({NOW} - to_hours(n::integer) as {kind}) as ordered_at from range(2, 50) as t(n)")
    home.sql(f"create table customers (updated_at {kind})")
    outcome = ingest("warehouse_health")
    found = named(rows)
    assert found["orders_minutes_since_newest"][0] == pytest.approx(120, abs=1)
    assert {name: value for name, value in found.items() if name != "orders_minutes_since_newest"} == {
        "customers_row_count": [0.0],
        "customers_rows_of_last_day": [0.0],
        "orders_row_count": [48.0],
        "orders_rows_of_last_day": pytest.approx([23], abs=1),
    }
    assert outcome.counts["threshold_alerts"] == 0


def test_warehouse_health_alerts_on_a_table_that_is_stale(home, ingest):
    home.sql(f"create table orders as select {NOW} - interval 5 hour as ordered_at")
    home.sql(f"create table customers as select {NOW} as updated_at")
    assert ingest("warehouse_health").counts["threshold_alerts"] == 1


def test_shop_orders_has_a_zero_for_an_hour_without_orders(home, ingest, rows, kind):
    home.sql(f"""create table orders as
        select cast({HOUR} - interval 3 hour + to_seconds(n::integer) as {kind}) as ordered_at, 'DE' as country, 2.5 as amount
        from range(120) as t(n)
        union all select cast({HOUR} - interval 1 hour as {kind}), 'DE', 10
        union all select cast({HOUR} - interval 2 hour as {kind}), 'MT', 7
        union all select cast({HOUR} as {kind}), 'DE', 1000
        union all select cast({HOUR} - interval 61 day as {kind}), 'DE', 1000""")
    ingest("shop_orders")
    assert named(rows) == {
        "orders_de": [120.0, 0.0, 1.0],
        "revenue_de": [300.0, 0.0, 10.0],
        "mean_value_de": [2.5, 10.0],
        "orders_other": [0.0, 1.0, 0.0],
        "revenue_other": [0.0, 7.0, 0.0],
        "mean_value_other": [7.0],
    }
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    assert last - rows()[-1][0] in (timedelta(0), timedelta(hours=1))


def test_gsod_is_bigquery_s_sql():
    batch = load_batch(METRICS, "gsod", {})
    query = build_query("ingest", batch, AnsiQuoting("bigquery"), {})
    (statement,) = sqlglot.parse(query, read="bigquery")
    assert [column.alias_or_name for column in statement.selects] == ["metric_timestamp", "metric_name", "metric_value"]
    assert "'744860' then 'new_york'" in query
    assert (batch.spec.ingest.ingest_db, batch.spec.common.db) == ("bigquery", "duckdb")
