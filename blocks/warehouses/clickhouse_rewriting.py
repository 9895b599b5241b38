"""Read what a statement changes, and let SQL read a query in place of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import WarehouseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

_DIALECT: Final = "clickhouse"


@dataclass(frozen=True)
class Update:
    """An update: its table without quotes, the new value of each quoted column, the condition of the rows."""

    table: str
    changes: Mapping[str, str]
    condition: str


@dataclass(frozen=True)
class Deletion:
    """A deletion: its table without quotes, the condition of the rows."""

    table: str
    condition: str


def read_statement(sql: str, location: str) -> Update | Deletion | None:
    """Read what a statement changes; None where it is of another kind, and defines something.

    Raises:
        WarehouseError: it is no SQL, or inserts rows, which a session could not undo.
    """
    word = sql.split(maxsplit=1)[0].casefold() if sql.strip() else ""
    if word == "insert":
        words = "an insert could not be undone; write rows by upsert or insert_missing"
        raise WarehouseError(f"{location} refused a statement: {words}")
    if word not in {"update", "delete"}:
        return None
    import sqlglot  # noqa: PLC0415 - importing the blocks imports it not

    try:
        parsed: Any = sqlglot.parse_one(sql, read=_DIALECT)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        raise WarehouseError(f"{location} refused a statement: {error}") from error
    where = parsed.args.get("where")
    condition = where.this.sql(_DIALECT) if where else "true"
    if word == "delete":
        return Deletion(_name(parsed.this), condition)
    changes = {f"`{change.this.name}`": change.expression.sql(_DIALECT) for change in parsed.expressions}
    if not changes:
        raise WarehouseError(f"{location} refused a statement: {sql[:200]!r} sets nothing")
    return Update(_name(parsed.this), changes, condition)


def rewrite_tables(sql: str, queries: Mapping[str, str], database: str) -> str:
    """Put queries in place of the tables that they are named by (``database.table``); a table without one is of ``database``."""
    if not queries:
        return sql
    import sqlglot  # noqa: PLC0415 - as above
    from sqlglot import exp  # noqa: PLC0415 - as above

    parsed = sqlglot.parse_one(sql, read=_DIALECT)
    named = {cte.alias for cte in parsed.find_all(exp.CTE)}
    found = [
        (table, queries.get(_name(table) if table.db else f"{database}.{table.name}"))
        for table in parsed.find_all(exp.Table)
        if table.name not in named or table.db
    ]
    for table, query in found:
        if query is not None:
            alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name, quoted=True))
            table.replace(exp.Subquery(this=sqlglot.parse_one(query, read=_DIALECT), alias=alias))
    return parsed.sql(_DIALECT) if any(query for _, query in found) else sql


def _name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)
