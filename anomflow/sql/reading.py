"""Which statements only read: what `anomflow query` lets through before the engine's own read-only mode is asked."""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from anomflow.errors import SqlError

_ALLOWED: Final = (exp.Query, exp.Describe, exp.Show, exp.Summarize, exp.Values, exp.Pivot)
_REFUSED: Final = (exp.DML, exp.DDL, exp.Into, exp.Command, exp.Copy, exp.Attach, exp.Set, exp.Pragma, exp.Drop, exp.Alter, exp.Lock)
# Functions that write, load code or reach beyond the database, in whichever engine has them.
_FUNCTIONS: Final = frozenset(
    {"writefile", "load_extension", "edit", "getenv", "nextval", "setval", "set_config", "dblink", "dblink_exec"}
    | {"lo_export", "lo_import", "pg_write_file", "pg_read_file", "pg_reload_conf", "pg_terminate_backend", "pg_cancel_backend"}
)
_WHAT: Final = "one SELECT, WITH, VALUES, DESCRIBE, SHOW or SUMMARIZE"


def check_reading(sql: str, dialect: str) -> tuple[str, bool]:
    """Return one statement that only reads, without the semicolon behind it, and whether it can stand in a FROM clause.

    Raises:
        SqlError: it is none, several, cannot be parsed, or does anything else than reading.
    """
    try:
        tokens = sqlglot.tokenize(sql, read=dialect)
        ends = [token.start for token in tokens if token.token_type.name == "SEMICOLON"]
        text = sql[: ends[0]] if ends else sql
        statements = [found for found in sqlglot.parse(sql, read=dialect) if found is not None and not isinstance(found, exp.Semicolon)]
    except SqlglotError as error:
        raise SqlError(f"cannot be read as {dialect} SQL: {_first_line(error)}; allowed is {_WHAT}") from error
    if len(statements) != 1:
        raise SqlError(f"{len(statements) or 'no'} statement{'s were' if statements else ' was'} found; allowed is {_WHAT}")
    _check_statement(statements[0])
    return text, isinstance(statements[0], exp.Query | exp.Values)


def _first_line(error: SqlglotError) -> str:
    details = getattr(error, "errors", None) or [{}]
    place = f" (line {details[0]['line']}, column {details[0]['col']})" if details[0].get("line") else ""
    return f"{details[0].get('description') or str(error).splitlines()[0]}{place}"


def _check_statement(statement: exp.Expr) -> None:
    if not isinstance(statement, _ALLOWED) or isinstance(statement, exp.DML):
        raise SqlError(f"{_name(statement)} is refused, since only reading is allowed: {_WHAT}")
    for node in statement.walk():
        if isinstance(node, _REFUSED) and not isinstance(node, exp.Query):
            raise SqlError(f"{_name(node)} inside of a statement is refused, since only reading is allowed: {_WHAT}")
        if isinstance(node, exp.Func) and _function(node) in _FUNCTIONS:
            raise SqlError(f"the function {_function(node)} is refused: it does more than reading this database")


def _function(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).casefold()


def _name(node: exp.Expr) -> str:
    return str(node.this).split()[0].upper() if isinstance(node, exp.Command) else node.key.upper()
