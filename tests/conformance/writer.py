"""Write 100 rows in ten sessions, as a process of its own: kind of engine, folder, metric name."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import polars as pl

from anomflow.frames import OBSERVATIONS
from tests.conformance.engines import ENGINES


def main(kind: str, folder: str, name: str) -> None:
    warehouse = ENGINES[kind].build(Path(folder), 60.0)
    first = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    print("ready", flush=True)
    for count in range(10):
        times = [first + dt.timedelta(minutes=count * 10 + minute) for minute in range(10)]
        rows = pl.DataFrame([(time, "b", name, "metric", 1.0, None) for time in times], schema=OBSERVATIONS.columns, orient="row")
        with warehouse.writing() as session:
            session.upsert(OBSERVATIONS, "metrics", rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
