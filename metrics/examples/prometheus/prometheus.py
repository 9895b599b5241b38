"""Ask Prometheus for the present values of queries."""

import os

from anomflow.errors import SourceError
from anomflow.fetching import fetch_json


def ingest(base_url: str, queries: dict[str, str]) -> list[dict[str, object]]:
    """Return the values of each query, named by the query and the labels of the series, at the time that they are for."""
    return [row for name, query in queries.items() for row in read_values(name, query, base_url)]


def read_values(name: str, query: str, base_url: str) -> list[dict[str, object]]:
    """Return the values of one query, which is a scalar or one value a series; NaN is no value."""
    token = os.environ.get("PROMETHEUS_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else None
    data = fetch_json(f"{base_url}/api/v1/query", {"query": query}, headers)["data"]
    if data["resultType"] not in {"vector", "scalar"}:
        raise SourceError(f"the query {name} returns a {data['resultType']}; write one that returns one value a series")
    series = [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
    return [
        {
            "metric_timestamp": one["value"][0],
            "metric_name": "_".join([name, *labels(one["metric"])]),
            "metric_value": float(one["value"][1]),
        }
        for one in series
    ]


def labels(metric: dict[str, str]) -> list[str]:
    """Return the values of a series' labels, in the order of the labels' names."""
    return [value for label, value in sorted(metric.items()) if label != "__name__"]
