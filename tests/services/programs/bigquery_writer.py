"""A run that writes one row into a BigQuery warehouse: ``python -m tests.services.programs.bigquery_writer FOLDER VALUE LEASE``.

It says when the row is written, waits for a line, commits, and says how that went.
"""

from __future__ import annotations

import sys
from pathlib import Path

from anomflow.errors import WarehouseError
from anomflow.frames import OBSERVATIONS
from tests.conformance.rows import DAY, build_rows
from tests.services.engines.bigquery import build_warehouse


def main(folder: str, value: str, seconds: str) -> None:
    try:
        with build_warehouse(Path(folder), lease_seconds=float(seconds)).writing() as session:
            session.upsert(OBSERVATIONS, "metrics", build_rows((DAY, "m", float(value))))
            print("written", flush=True)
            sys.stdin.readline()
    except WarehouseError as error:
        print(type(error).__name__, error)
    else:
        print("committed")


if __name__ == "__main__":
    main(*sys.argv[1:])
