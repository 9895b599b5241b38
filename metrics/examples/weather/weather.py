"""Ask Open-Meteo for the weather."""

from anomflow.fetching import fetch_json

METRICS = {"temperature_2m": "temperature", "wind_speed_10m": "wind", "relative_humidity_2m": "humidity"}


def ingest(cities: dict[str, list[float]], base_url: str = "https://api.open-meteo.com") -> list[dict[str, object]]:
    """Return temperature (°C), wind (km/h) and humidity (%) of each city (latitude, longitude), at the time of the measurement."""
    params = {
        "latitude": ",".join(str(latitude) for latitude, _ in cities.values()),
        "longitude": ",".join(str(longitude) for _, longitude in cities.values()),
        "current": ",".join(METRICS),
        "timeformat": "unixtime",
    }
    answer = fetch_json(f"{base_url}/v1/forecast", params)
    places = answer if isinstance(answer, list) else [answer]  # one place is no list
    return [
        {"metric_timestamp": place["current"]["time"], "metric_name": f"{city}_{name}", "metric_value": place["current"][field]}
        for city, place in zip(cities, places, strict=True)
        for field, name in METRICS.items()
    ]
