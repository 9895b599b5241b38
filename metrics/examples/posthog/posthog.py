"""Ask PostHog for the events and users of each day."""

from anomflow.fetching import fetch_json, read_variable

QUERY = """
select toStartOfDay(timestamp) as day, count() as events, count(distinct person_id) as users
from events
where timestamp >= now() - interval {days} day and timestamp < toStartOfDay(now())
group by day
order by day
limit 10000
"""


def ingest(days: int = 90, base_url: str = "https://us.posthog.com") -> list[dict[str, object]]:
    """Return the count of events and of users of each full day."""
    key = read_variable("POSTHOG_API_KEY", "a personal API key with the scope query:read")
    project = read_variable("POSTHOG_PROJECT_ID", "the number in the address of the project")
    question = {"query": {"kind": "HogQLQuery", "query": QUERY.format(days=int(days))}}
    answer = fetch_json(f"{base_url}/api/projects/{project}/query/", headers={"Authorization": f"Bearer {key}"}, body=question)
    return [
        {"metric_timestamp": day, "metric_name": name, "metric_value": value}
        for day, *counts in answer["results"]
        for name, value in zip(("posthog_events", "posthog_users"), counts, strict=True)
    ]
