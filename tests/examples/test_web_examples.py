"""The examples that ask web sources, against answers of the recorded shape from loopback, written for these tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from anomflow.errors import IngestError
from anomflow.hooks import Hook, run_ingest

EXAMPLES = Path(__file__).parents[2] / "metrics" / "examples"
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
EPOCH = int(MOMENT.timestamp())


def values(rows):
    return {name: value for _, name, value in rows()}


def times(rows):
    return {moment for moment, _, _ in rows()}


def place(temperature):
    current = {"time": EPOCH, "interval": 900, "temperature_2m": temperature, "wind_speed_10m": 11.2, "relative_humidity_2m": 81}
    return {"latitude": 53.36, "longitude": -6.25, "utc_offset_seconds": 0, "current": current}


def test_weather_has_three_metrics_a_city(source, ingest, rows):
    source.answer("/v1/forecast", [place(9.5), place(-1.0), place(21)])
    ingest("weather", base_url=source.url)
    assert times(rows) == {MOMENT}
    assert values(rows) == {
        f"{city}_{name}": value
        for city, temperature in {"dublin": 9.5, "berlin": -1.0, "tokyo": 21.0}.items()
        for name, value in {"temperature": temperature, "wind": 11.2, "humidity": 81.0}.items()
    }
    assert source.asked[0].params["latitude"] == "53.35,52.52,35.68"


def test_weather_of_one_city_is_answered_without_a_list(source):
    source.answer("/v1/forecast", place(9.5))
    path = EXAMPLES / "weather" / "weather.py"
    hook = Hook(path.read_text(), str(path), 1, arguments={"base_url": source.url, "cities": {"dublin": [53.35, -6.26]}})
    assert run_ingest(hook, 60)["metric_value"].to_list() == [9.5, 11.2, 81.0]


def chart(*closes: float | None):
    stamps = [EPOCH + 300 * number for number in range(len(closes))]
    meta = {"currency": "USD", "regularMarketPrice": 101.5}
    return {"chart": {"result": [{"meta": meta, "timestamp": stamps, "indicators": {"quote": [{"close": list(closes)}]}}], "error": None}}


def test_prices_are_those_of_each_interval_with_trade(source, ingest, rows):
    for number, symbol in enumerate(["AAPL", "MSFT", "%5EGSPC", "BTC-USD"]):
        source.answer(f"/v8/finance/chart/{symbol}", chart(100 + number, None, 100.5 + number))
    ingest("yfinance", base_url=source.url)
    assert rows()[:2] == [(MOMENT, "price_AAPL", 100.0), (MOMENT, "price_BTC-USD", 103.0)]
    assert len(rows()) == 8
    assert source.asked[0].params == {"interval": "5m", "range": "1d"}


def test_a_symbol_that_is_unknown_is_told(source, ingest):
    source.answer("/v8/finance/chart/AAPL", {"chart": {"result": None, "error": {"code": "Not Found"}}})
    with pytest.raises(IngestError, match=r"yfinance\.py:\d+: no prices of AAPL: \{'code': 'Not Found'\}"):
        ingest("yfinance", base_url=source.url)


def test_github_counts_each_repository(source, ingest, rows, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp-not-a-real-one")
    facts = {"stargazers_count": 17_000, "forks_count": 1_600, "subscribers_count": 160, "open_issues_count": 900, "size": 1}
    for repository in ("PrefectHQ/prefect", "duckdb/duckdb", "pola-rs/polars"):
        source.answer(f"/repos/{repository}", facts)
    ingest("github", base_url=source.url)
    assert len(rows()) == 12
    assert values(rows)["duckdb/duckdb_open_issues"] == 900.0
    assert {asked.headers["Authorization"] for asked in source.asked} == {"Bearer ghp-not-a-real-one"}


def test_github_works_without_a_token(source, ingest, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with pytest.raises(IngestError, match=r"answered 404 Not Found: .*no /repos/PrefectHQ/prefect here"):
        ingest("github", base_url=source.url)
    assert "Authorization" not in source.asked[0].headers


def test_exchange_rates_come_with_their_history(source, ingest, rows):
    first = (datetime.now(UTC).date() - timedelta(days=360)).isoformat()
    rates = {"2026-02-26": {"USD": 1.1, "GBP": 0.85}, "2026-02-27": {"USD": 1.1125, "GBP": 0.8512349}}
    source.answer(f"/v1/{first}..", {"amount": 1.0, "base": "EUR", "start_date": "2026-02-26", "end_date": "2026-02-27", "rates": rates})
    ingest("currency", base_url=source.url)
    assert [(moment.date().isoformat(), name, value) for moment, name, value in rows()] == [
        ("2026-02-26", "EUR_GBP", 0.85),
        ("2026-02-26", "EUR_USD", 1.1),
        ("2026-02-27", "EUR_GBP", 0.851235),
        ("2026-02-27", "EUR_USD", 1.1125),
    ]
    assert source.asked[0].params == {"base": "EUR", "symbols": "USD,GBP,JPY,CHF"}


def quake(minutes_before, magnitude):
    return {"type": "Feature", "properties": {"time": (EPOCH - 60 * minutes_before) * 1000, "mag": magnitude, "place": "somewhere"}}


def test_earthquakes_are_counted_by_full_hours_only(source, ingest, rows):
    found = [quake(-5, 6.0), quake(10, 1.5), quake(20, None), quake(50, 2.5), quake(70, 4.0), quake(23 * 60 + 30, 9.0)]
    feed = {"metadata": {"generated": (EPOCH + 600) * 1000, "count": len(found)}, "features": found}
    source.answer("/earthquakes/feed/v1.0/summary/all_day.geojson", feed)
    ingest("earthquakes", base_url=source.url)
    counts = {moment: value for moment, name, value in rows() if name == "earthquakes"}
    assert len(counts) == 23
    assert max(counts) == MOMENT - timedelta(hours=1)
    assert {moment: value for moment, value in counts.items() if value} == {
        MOMENT - timedelta(hours=1): 2.0,
        MOMENT - timedelta(hours=2): 1.0,
    }
    strongest = [(moment, value) for moment, name, value in rows() if name == "strongest_magnitude"]
    assert strongest == [(MOMENT - timedelta(hours=2), 4.0), (MOMENT - timedelta(hours=1), 2.5)]


def test_hacker_news_counts_what_is_on_top(source, ingest, rows):
    source.answer("/v0/topstories.json", list(range(1, 21)))
    source.answer("/v0/maxitem.json", 47_000_000)
    source.answer("/v0/item/1.json", {"id": 1, "type": "job", "score": 1})
    source.answer("/v0/item/2.json", "null")
    for number in range(3, 11):
        source.answer(f"/v0/item/{number}.json", {"id": number, "type": "story", "score": 10 * number, "descendants": 90})
    ingest("hackernews", base_url=source.url)
    assert values(rows) == {"hn_items": 47e6, "hn_top_score": 100.0, "hn_mean_score": round(521 / 9, 4), "hn_mean_comments": 80.0}


def test_prometheus_names_series_by_their_labels(source, ingest, rows, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_TOKEN", "secret-of-prometheus")
    vector = [
        {"metric": {"__name__": "up", "job": "node"}, "value": [EPOCH + 0.5, "1"]},
        {"metric": {"job": "web", "instance": "a:80"}, "value": [EPOCH, "NaN"]},
    ]
    source.answer("/api/v1/query", {"status": "success", "data": {"resultType": "vector", "result": vector}})
    source.answer("/api/v1/query", {"status": "success", "data": {"resultType": "scalar", "result": [EPOCH, "12.5"]}})
    ingest("prometheus", base_url=source.url)
    assert rows() == [
        (MOMENT, "cpu_percent", 12.5),
        (MOMENT, "up_a:80_web", None),
        (MOMENT + timedelta(seconds=0.5), "up_node", 1.0),
    ]
    assert source.asked[0].params["query"] == "sum by (job) (up)"
    assert source.asked[0].headers["Authorization"] == "Bearer secret-of-prometheus"


def test_prometheus_refuses_a_range(source, ingest):
    source.answer("/api/v1/query", {"status": "success", "data": {"resultType": "matrix", "result": []}})
    with pytest.raises(IngestError, match="the query up returns a matrix; write one that returns one value a series"):
        ingest("prometheus", base_url=source.url)


def netdata_chart(**dimensions: float):
    return {
        "name": "x",
        "units": "percentage",
        "last_updated": EPOCH,
        "dimensions": {k: {"name": k, "value": v} for k, v in dimensions.items()},
    }


def test_netdata_has_a_metric_a_dimension(source, ingest, rows):
    source.answer(
        "/api/v1/allmetrics",
        {
            "system.cpu": netdata_chart(user=12.5, system=3),
            "system.ram": netdata_chart(free=512.0),
            "system.load": netdata_chart(load1=0.25),
            "disk.sda": netdata_chart(reads=1),
        },
    )
    ingest("netdata", base_url=source.url)
    assert values(rows) == {"system.cpu_user": 12.5, "system.cpu_system": 3.0, "system.ram_free": 512.0, "system.load_load1": 0.25}


def test_a_chart_that_netdata_does_not_have_is_told(source, ingest):
    source.answer("/api/v1/allmetrics", {"system.cpu": netdata_chart(user=1)})
    with pytest.raises(IngestError, match=r"has no chart system\.ram, system\.load; it has for example system\.cpu"):
        ingest("netdata", base_url=source.url)


def test_posthog_is_asked_with_a_key_from_the_environment(source, ingest, rows, monkeypatch):
    monkeypatch.setenv("POSTHOG_API_KEY", "phx-not-a-real-one")
    monkeypatch.setenv("POSTHOG_PROJECT_ID", "42")
    results = [["2026-02-27T00:00:00Z", 1200, 80], ["2026-02-28T00:00:00Z", 1300, 85]]
    source.answer("/api/projects/42/query/", {"columns": ["day", "events", "users"], "results": results})
    ingest("posthog", base_url=source.url)
    assert rows()[-2:] == [
        (datetime(2026, 2, 28, tzinfo=UTC), "posthog_events", 1300.0),
        (datetime(2026, 2, 28, tzinfo=UTC), "posthog_users", 85.0),
    ]
    assert source.asked[0].headers["Authorization"] == "Bearer phx-not-a-real-one"
    assert source.asked[0].body["query"]["kind"] == "HogQLQuery"
    assert "interval 90 day" in source.asked[0].body["query"]["query"]


@pytest.mark.parametrize(("batch", "name"), [("posthog", "POSTHOG_API_KEY"), ("llm_cost", "OPENAI_ADMIN_KEY")])
def test_a_key_that_is_missing_is_told_by_name_before_anything_is_asked(source, ingest, monkeypatch, batch, name):
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(IngestError, match=rf"{batch}\.py:\d+: the environment variable {name} is not set; it is an? .* key"):
        ingest(batch, base_url=source.url)
    assert source.asked == []


def bucket(days_ago, *costs: tuple[str | None, float]):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=days_ago)
    results = [{"amount": {"value": value, "currency": "usd"}, "line_item": line, "project_id": None} for line, value in costs]
    return {"object": "bucket", "start_time": int(start.timestamp()), "end_time": int(start.timestamp()) + 86_400, "results": results}


def test_the_cost_of_models_is_summed_by_full_day_and_line_over_all_pages(source, ingest, rows, monkeypatch):
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-not-a-real-one")
    first = [bucket(3, ("small, input", 1.25), ("small, input", 0.75), (None, 0.5)), bucket(2)]
    source.answer("/v1/organization/costs", {"data": first, "has_more": True, "next_page": "page_2"})
    source.answer("/v1/organization/costs", {"data": [bucket(1, ("big", 3)), bucket(0, ("big", 9))], "has_more": False, "next_page": None})
    ingest("llm_cost", base_url=source.url)
    assert [(name, value) for _, name, value in rows()] == [
        ("llm_cost_other", 0.5),
        ("llm_cost_small, input", 2.0),
        ("llm_cost_total", 2.5),
        ("llm_cost_total", 0.0),
        ("llm_cost_big", 3.0),
        ("llm_cost_total", 3.0),
    ]
    assert [asked.params.get("page") for asked in source.asked] == [None, "page_2"]
