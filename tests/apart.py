"""The world of the laws with its ledger in another database: a SQLite file beside the one of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from anomflow.frames import LEDGER
from blocks.warehouses.sqlite import SQLiteWarehouse
from tests.world import World

SETTINGS = "ledger_db: sqlite\n"


@dataclass
class ApartWorld(World):
    """One batch named `shop` whose alerts and deliveries lie in a SQLite file."""

    def configure(self, text: str = "", batch: str = "shop") -> None:
        super().configure(SETTINGS + text, batch)

    def table(self, suffix: str = "") -> pl.DataFrame:
        return read_ledger(self.folder, suffix) if suffix in {table.suffix for table in LEDGER} else super().table(suffix)


def read_ledger(folder: Path, suffix: str) -> pl.DataFrame:
    """Read a table of the ledger."""
    table = next(table for table in LEDGER if table.suffix == suffix)
    with SQLiteWarehouse().at_home(folder / "home").reading() as session:
        return session.read_table(table, table.name("metrics")).sort(list(table.columns), nulls_last=True)
