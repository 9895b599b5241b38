"""Ask Netdata for the present values of charts."""

from anomflow.errors import SourceError
from anomflow.fetching import fetch_json


def ingest(charts: list[str], base_url: str = "http://localhost:19999") -> list[dict[str, object]]:
    """Return the newest value of each dimension of each chart, at the time of the measurement."""
    found = fetch_json(f"{base_url}/api/v1/allmetrics", {"format": "json"})
    missing = [chart for chart in charts if chart not in found]
    if missing:
        raise SourceError(f"{base_url} has no chart {', '.join(missing)}; it has for example {', '.join(sorted(found)[:10])}")
    return [
        {"metric_timestamp": found[chart]["last_updated"], "metric_name": f"{chart}_{name}", "metric_value": dimension["value"]}
        for chart in charts
        for name, dimension in found[chart]["dimensions"].items()
    ]
