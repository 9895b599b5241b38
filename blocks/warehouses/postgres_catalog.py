"""What PostgreSQL is asked about its tables; names and texts come in as SQL that the session quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def build_columns_query(table: str) -> str:
    """Ask for the name and type of each column of a table, in their order; no row where there is no such table."""
    return (
        "select attname::text as name, format_type(atttypid, atttypmod) as type from pg_catalog.pg_attribute "
        f"where attrelid = to_regclass({table}) and attnum > 0 and not attisdropped order by attnum"
    )


def build_key_query(table: str, key: Sequence[str]) -> str:
    """Ask for a row where a unique index on just these columns, in any order, keeps each key of a table single."""
    names = (
        "(select array_agg(a.attname::text) from pg_catalog.pg_attribute as a where a.attrelid = i.indrelid and a.attnum = any(i.indkey))"
    )
    listed = f"array[{', '.join(key)}]"
    return (
        f"select 1 as found from pg_catalog.pg_index as i where i.indrelid = to_regclass({table}) "
        "and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null "
        f"and i.indnatts = {len(key)} and {names} @> {listed} and {names} <@ {listed}"
    )


def build_lock_query(family: str, *, has_schema: bool) -> str:
    """Wait for the right to write the tables of a table key, and keep it until the transaction ends."""
    place = family if has_schema else f"coalesce(current_schema(), '') || '.' || {family}"
    return f"select pg_advisory_xact_lock(hashtextextended('anomflow ' || {place}, 0))::text as locked"
