"""Measure the machine that the batch runs on."""

from datetime import UTC, datetime

import polars as pl
import psutil


def ingest() -> pl.DataFrame:
    """Return the use of CPU, memory and root disk in percent, and the load of one minute per CPU, all as of now."""
    values = {
        "cpu_percent": psutil.cpu_percent(interval=0.5),
        "memory_percent": psutil.virtual_memory().percent,
        "disk_percent": psutil.disk_usage("/").percent,
        "load_per_cpu": psutil.getloadavg()[0] / (psutil.cpu_count() or 1),
    }
    return pl.DataFrame(
        {"metric_name": list(values), "metric_value": list(values.values())},
        schema={"metric_name": pl.String, "metric_value": pl.Float64},
    ).with_columns(metric_timestamp=pl.lit(datetime.now(UTC)))
