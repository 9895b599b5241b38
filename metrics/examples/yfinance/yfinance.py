"""Ask Yahoo Finance for prices."""

from urllib.parse import quote

from anomflow.errors import SourceError
from anomflow.fetching import fetch_json


def ingest(
    symbols: list[str], interval: str = "5m", period: str = "1d", base_url: str = "https://query1.finance.yahoo.com"
) -> list[dict[str, object]]:
    """Return the closing price of each interval of a period, one metric a symbol."""
    return [row for symbol in symbols for row in read_prices(symbol, {"interval": interval, "range": period}, base_url)]


def read_prices(symbol: str, params: dict[str, str], base_url: str) -> list[dict[str, object]]:
    """Return the prices of one symbol; intervals without trade have none."""
    chart = fetch_json(f"{base_url}/v8/finance/chart/{quote(symbol, safe='')}", params, {"User-Agent": "Mozilla/5.0"})["chart"]
    if chart.get("error") or not chart.get("result"):
        raise SourceError(f"no prices of {symbol}: {chart.get('error')}")
    result = chart["result"][0]
    prices = result["indicators"]["quote"][0].get("close", [])
    return [
        {"metric_timestamp": moment, "metric_name": f"price_{symbol}", "metric_value": price}
        for moment, price in zip(result.get("timestamp", []), prices, strict=True)
        if price is not None
    ]
