"""Measure a folder. A function takes the arguments of `ingest_fn_args` and returns rows: a table, or a list of mappings."""

from datetime import UTC, datetime
from pathlib import Path


def ingest(folder: str = ".") -> list[dict[str, object]]:
    """Return the number of files below a folder and their size in megabytes, as of now."""
    sizes = [path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()]
    values = {"folder_files": len(sizes), "folder_megabytes": sum(sizes) / 1e6}
    now = datetime.now(UTC)
    return [{"metric_timestamp": now, "metric_name": name, "metric_value": value} for name, value in values.items()]
