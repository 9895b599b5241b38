"""Ask OpenAI what an organisation paid."""

from datetime import UTC, datetime, timedelta

from anomflow.fetching import fetch_json, read_variable

MOST_DAYS = 180  # that the API gives at once


def ingest(days: int = 90, base_url: str = "https://api.openai.com") -> list[dict[str, object]]:
    """Return the cost of each full day: in total, and by line of the bill."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = int((today - timedelta(days=days)).timestamp())
    rows: list[dict[str, object]] = []
    for bucket in read_buckets(first, f"{base_url}/v1/organization/costs"):
        if bucket["end_time"] <= today.timestamp():
            rows += [
                {"metric_timestamp": bucket["start_time"], "metric_name": name, "metric_value": dollars}
                for name, dollars in sum_costs(bucket["results"]).items()
            ]
    return rows


def read_buckets(first: int, url: str) -> list[dict[str, object]]:
    """Return the days from a time (epoch seconds) on, from all pages of the answer."""
    key = read_variable("OPENAI_ADMIN_KEY", "an admin key of the organisation")
    params: dict[str, object] = {"start_time": first, "bucket_width": "1d", "group_by": "line_item", "limit": MOST_DAYS}
    buckets: list[dict[str, object]] = []
    while True:
        page = fetch_json(url, params, {"Authorization": f"Bearer {key}"})
        buckets += page["data"]
        if not page.get("has_more"):
            return buckets
        params["page"] = page["next_page"]


def sum_costs(results: list[dict[str, object]]) -> dict[str, float]:
    """Return the dollars of a day in total and by line; a day without cost has a total of zero."""
    costs = {"llm_cost_total": 0.0}
    for result in results:
        dollars = float(result["amount"]["value"])
        name = f"llm_cost_{result['line_item'] or 'other'}"
        costs["llm_cost_total"] += dollars
        costs[name] = costs.get(name, 0.0) + dollars
    return costs
