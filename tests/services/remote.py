"""The world of the laws, with a service as its warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from anomflow.frames import TABLES
from tests.world import World


@dataclass
class RemoteWorld(World):
    """One batch named `shop` whose source is a DuckDB file and whose warehouse is a service."""

    kind: str
    warehouse: Any

    def configure(self, text: str = "", batch: str = "shop") -> None:
        super().configure(f"db: {self.kind}\ningest_db: duckdb\n{text}", batch)

    def table(self, suffix: str = "") -> pl.DataFrame:
        table = next(table for table in TABLES if table.suffix == suffix)
        with self.warehouse.reading() as session:
            return session.read_table(table, table.name("metrics")).sort(list(table.columns), nulls_last=True)
