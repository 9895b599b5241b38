"""Ask Hacker News for the stories on top."""

from datetime import UTC, datetime
from statistics import fmean

from anomflow.fetching import fetch_json


def ingest(stories: int = 10, base_url: str = "https://hacker-news.firebaseio.com") -> list[dict[str, object]]:
    """Return the highest and the mean score and the mean count of comments of the first stories, and the newest item's number."""
    numbers = fetch_json(f"{base_url}/v0/topstories.json")[:stories]
    found = [fetch_json(f"{base_url}/v0/item/{number}.json") for number in numbers]
    scores = [story["score"] for story in found if story]  # an item that was deleted meanwhile is null
    values = {
        "hn_items": fetch_json(f"{base_url}/v0/maxitem.json"),
        "hn_top_score": max(scores, default=None),
        "hn_mean_score": fmean(scores) if scores else None,
        "hn_mean_comments": fmean(story.get("descendants", 0) for story in found if story) if scores else None,
    }
    now = datetime.now(UTC)
    return [{"metric_timestamp": now, "metric_name": name, "metric_value": value} for name, value in values.items()]
