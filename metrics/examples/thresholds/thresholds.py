"""Measure the free space of disks."""

import shutil
from datetime import UTC, datetime


def ingest(folders: dict[str, str]) -> list[dict[str, object]]:
    """Return the free space in percent of the disk of each folder, which goes by its name, as of now."""
    usages = {name: shutil.disk_usage(folder) for name, folder in folders.items()}
    now = datetime.now(UTC)
    return [
        {"metric_timestamp": now, "metric_name": f"disk_free_percent_{name}", "metric_value": 100 * usage.free / usage.total}
        for name, usage in usages.items()
    ]
