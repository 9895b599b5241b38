"""Statements on one table of the ledger, built from quoted names and literals only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import polars as pl

    from anomflow.frames import Table
    from anomflow.protocols import Session

CHUNK: Final = 200  # ids in one statement: few statements, and none too long for an engine


@dataclass(frozen=True)
class Rows:
    """One table of a session, under a table key."""

    session: Session
    table: Table
    table_key: str

    @property
    def name(self) -> str:
        """Return the table's name, not quoted."""
        return self.table.name(self.table_key)

    def equals(self, column: str, value: object) -> str:
        """Render ``column = value``, or ``column is null``."""
        literal = self.session.literal(value)
        return f"{self.column(column)} is null" if value is None else f"{self.column(column)} = {literal}"

    def compare(self, column: str, operator: str, value: object) -> str:
        """Render a comparison with a value."""
        return f"{self.column(column)} {operator} {self.session.literal(value)}"

    def among(self, column: str, values: Iterable[object]) -> str:
        """Render ``column in (values)``; for a chunk of values at most."""
        return f"{self.column(column)} in ({', '.join(self.session.literal(value) for value in values)})"

    def choose(self, column: str, key: str, values: Mapping[str, object]) -> str:
        """Render the value of a column by the text in another: its own where the text is not among ``values``."""
        cases = " ".join(f"when {self.session.literal(text)} then {self.session.literal(value)}" for text, value in values.items())
        return f"case {self.column(key)} {cases} else {self.column(column)} end"

    def column(self, name: str) -> str:
        """Quote a column."""
        return self.session.identifier(name)

    def read(self, *conditions: str) -> pl.DataFrame:
        """Read the rows for which all conditions hold."""
        return self.session.read_table(self.table, self.name, " and ".join(conditions) or "true")

    def insert(self, rows: pl.DataFrame) -> int:
        """Insert the rows whose key is not there yet and return how many these were."""
        return self.session.insert_missing(self.table, self.name, rows)

    def update(self, changes: Mapping[str, str], *conditions: str) -> int:
        """Set columns to SQL expressions in the rows for which all conditions hold, and return how many these were."""
        assignments = ", ".join(f"{self.column(column)} = {expression}" for column, expression in changes.items())
        table = self.session.identifier(self.name)
        return self.session.execute(f"update {table} set {assignments} where {' and '.join(conditions)}")


def chunks(values: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Split texts into parts that fit into one statement, without duplicates, in a fixed order."""
    ordered = sorted(set(values))
    return (tuple(ordered[start : start + CHUNK]) for start in range(0, len(ordered), CHUNK))
