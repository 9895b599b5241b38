"""Ask the USGS for the earthquakes of the last day."""

from anomflow.fetching import fetch_json

HOUR = 3_600_000  # milliseconds, as the source counts time


def ingest(base_url: str = "https://earthquake.usgs.gov") -> list[dict[str, object]]:
    """Return the count of earthquakes and the greatest magnitude of each hour that the feed covers from start to end."""
    feed = fetch_json(f"{base_url}/earthquakes/feed/v1.0/summary/all_day.geojson")
    end = feed["metadata"]["generated"] // HOUR * HOUR
    magnitudes: dict[int, list[float]] = {hour: [] for hour in range(end - 23 * HOUR, end, HOUR)}
    for quake in (feature["properties"] for feature in feed["features"]):
        hour = quake["time"] // HOUR * HOUR
        if hour in magnitudes and quake["mag"] is not None:
            magnitudes[hour].append(quake["mag"])
    counts = [{"metric_timestamp": hour, "metric_name": "earthquakes", "metric_value": len(found)} for hour, found in magnitudes.items()]
    strongest = [
        {"metric_timestamp": hour, "metric_name": "strongest_magnitude", "metric_value": max(found)}
        for hour, found in magnitudes.items()
        if found
    ]
    return counts + strongest
