"""What a session is to change in a table, kept in a table of its own beside it until the session commits.

For each key the rows of its last step are what it will have; a mark without rows deletes it. So a session that ends early leaves the
table as it was, and carrying a commit out again changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROW: Final = 0
GONE: Final = 1  # the key has no rows but those of its last step
OFFERED: Final = 2  # no change yet: rows that a statement compares with
_STATE: Final = "`anomflow state`"
_STEP: Final = "`anomflow step`"


@dataclass(frozen=True)
class Pending:
    """A table and where its changes wait; ``columns`` are all of the table, ``key`` those of its key. All are quoted."""

    table: str
    place: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def create(self) -> str:
        """Return the statement that makes the place, with the table's own types."""
        added = f"toUInt8(0) as {_STATE}, toUInt32(0) as {_STEP}"
        rows = f"select {_list(self.columns)}, {added} from {self.table} where 0"
        return f"create table {self.place} engine = MergeTree order by tuple() as {rows}"

    @property
    def drop(self) -> str:
        """Return the statement that drops the place."""
        return f"drop table if exists {self.place}"

    @property
    def current(self) -> str:
        """Return the query of the table as the session sees it."""
        return (
            f"select {_list(self.columns)} from {self.table} where ({_list(self.key)}) not in ({self._changed}) "
            f"union all select {_list(self.columns)} from {self.place} where {self._is_last}"
        )

    @property
    def _changed(self) -> str:
        return f"select {_list(self.key)} from {self.place} where {_STATE} < {OFFERED}"

    @property
    def _is_last(self) -> str:
        last = f"select {_list(self.key)}, max({_STEP}) from {self.place} where {_STATE} < {OFFERED} group by {_list(self.key)}"
        return f"{_STATE} = {ROW} and ({_list(self.key)}, {_STEP}) in ({last})"

    def mark(self, rows: pl.DataFrame, state: int, step: int) -> pl.DataFrame:
        """Add to rows what they are."""
        return rows.with_columns(
            pl.lit(state, dtype=pl.UInt8).alias(_STATE.strip("`")), pl.lit(step, dtype=pl.UInt32).alias(_STEP.strip("`"))
        )

    def select_offered(self, step: int) -> str:
        """Return the query of the rows that were offered in a step."""
        return f"select {_list(self.columns)} from {self.place} where {_STATE} = {OFFERED} and {_STEP} = {step}"

    def matches(self, offered: str) -> str:
        """Return the condition that a row has the key of one that a query gives."""
        return f"({_list(self.key)}) in (select {_list(self.key)} from ({offered}))"

    def insert_absent(self, offered: str, step: int) -> str:
        """Return the statement that adds the rows of a query whose key the table has not."""
        absent = f"({_list(self.key)}) not in (select {_list(self.key)} from ({self.current}))"
        return f"{self._insert(self.columns)} select {_list(self.columns)}, {ROW}, {step} from ({offered}) where {absent}"

    def delete(self, condition: str, step: int) -> str:
        """Return the statement that deletes rows; others of their keys, as tables of others may have, stay."""
        kept = f"ifNull(not ({condition}), true) and {self._has_key_of(condition)}"
        rest = [column for column in self.columns if column not in self.key]
        filled = ", ".join(f"any({column})" for column in rest)
        group = f"where {condition} group by {_list(self.key)}"
        marks = f"select {_list(self.key)}, {filled}, {GONE}, {step} from ({self.current}) {group}"
        ordered = (*self.key, *rest)
        return f"{self._insert(ordered)} {marks} union all select {_list(ordered)}, {ROW}, {step} from ({self.current}) where {kept}"

    def update(self, changes: Mapping[str, str], condition: str, step: int) -> str:
        """Return the statement that changes rows; others of their keys stay as they are."""
        # Without names: to one that is a column's too, conditions would refer.
        values = ", ".join(f"if({condition}, {changes[column]}, {column})" if column in changes else column for column in self.columns)
        return f"{self._insert(self.columns)} select {values}, {ROW}, {step} from ({self.current}) where {self._has_key_of(condition)}"

    def publish(self) -> tuple[str, str]:
        """Return the statements that delete what is old and insert what is new; run again, the second inserts nothing."""
        absent = f"({_list(self.key)}) not in (select {_list(self.key)} from {self.table} where ({_list(self.key)}) in ({self._changed}))"
        rows = f"select {_list(self.columns)} from {self.place} where {self._is_last} and {absent}"
        return (
            f"delete from {self.table} where ({_list(self.key)}) in ({self._changed})",
            f"insert into {self.table} ({_list(self.columns)}) {rows}",
        )

    @property
    def find_old(self) -> str:
        """Return the query that tells whether there is something to delete."""
        return f"select 1 as found from {self.table} where ({_list(self.key)}) in ({self._changed}) limit 1"

    def _has_key_of(self, condition: str) -> str:
        return f"({_list(self.key)}) in (select {_list(self.key)} from ({self.current}) where {condition})"

    def _insert(self, columns: Sequence[str]) -> str:
        return f"insert into {self.place} ({_list(columns)}, {_STATE}, {_STEP})"


def render_note(pendings: Sequence[Pending]) -> str:
    """Write what a session commits as text, for whoever carries it out."""
    return json.dumps([asdict(pending) for pending in pendings])


def read_note(note: str) -> list[Pending]:
    """Read what ``render_note`` wrote."""
    return [
        Pending(fields["table"], fields["place"], tuple(fields["columns"]), tuple(fields["key"])) for fields in json.loads(note or "[]")
    ]


def _list(columns: Sequence[str]) -> str:
    return ", ".join(columns)
