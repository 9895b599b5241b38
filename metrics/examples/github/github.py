"""Ask GitHub about repositories."""

import os
from datetime import UTC, datetime

from anomflow.fetching import fetch_json

METRICS = {"stargazers_count": "stars", "forks_count": "forks", "subscribers_count": "watchers", "open_issues_count": "open_issues"}


def ingest(repositories: list[str], base_url: str = "https://api.github.com") -> list[dict[str, object]]:
    """Return the counts of each repository (owner/name) as of now."""
    token = os.environ.get("GITHUB_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else None
    found = {name: fetch_json(f"{base_url}/repos/{name}", headers=headers) for name in repositories}
    now = datetime.now(UTC)
    return [
        {"metric_timestamp": now, "metric_name": f"{repository}_{metric}", "metric_value": facts[field]}
        for repository, facts in found.items()
        for field, metric in METRICS.items()
    ]
