"""Ask Frankfurter for exchange rates."""

from datetime import UTC, datetime, timedelta

from anomflow.fetching import fetch_json


def ingest(base: str, symbols: list[str], days: int = 360, base_url: str = "https://api.frankfurter.dev") -> list[dict[str, object]]:
    """Return how much of each currency one unit of the base was worth, a row each day that banks work."""
    first = datetime.now(UTC).date() - timedelta(days=days)
    rates = fetch_json(f"{base_url}/v1/{first.isoformat()}..", {"base": base, "symbols": ",".join(symbols)})["rates"]
    return [
        {"metric_timestamp": day, "metric_name": f"{base}_{symbol}", "metric_value": rate}
        for day, of_day in rates.items()
        for symbol, rate in of_day.items()
    ]
