"""DuckDB's dialect to that of an engine."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from anomflow.errors import SqlError

_PARTS_OF_A_DAY: Final = frozenset({"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR"})


@lru_cache(maxsize=256)
def translate(sql: str, dialect: str) -> str:
    """Translate one statement of DuckDB's dialect; text for DuckDB itself stays as it is.

    Raises SqlError for none or several statements, wrong syntax, and what the other dialect cannot say.
    """
    import sqlglot  # noqa: PLC0415 - takes half a second, which the command line need not wait for
    from sqlglot import exp  # noqa: PLC0415
    from sqlglot.errors import ErrorLevel, ParseError, SqlglotError  # noqa: PLC0415

    try:
        statements = [statement for statement in sqlglot.parse(sql, read="duckdb") if statement is not None]
    except ParseError as error:
        raise SqlError(f"not DuckDB SQL: {_fragment(error, sql)}") from error
    except SqlglotError as error:
        raise SqlError(f"not DuckDB SQL: {error}") from error
    statements = [statement for statement in statements if not isinstance(statement, exp.Semicolon)]
    if len(statements) != 1:
        raise SqlError(f"holds {len(statements)} statements; exactly one is allowed: {_shorten(sql)}")
    if isinstance(statements[0], exp.Command):
        raise SqlError(f"cannot be translated to {dialect}: {_shorten(sql)}")
    if dialect == "duckdb":
        return sql.strip().rstrip(";")
    try:
        return str(_suit(statements[0], dialect).sql(dialect=dialect, pretty=True, unsupported_level=ErrorLevel.RAISE))
    except (SqlglotError, ValueError) as error:
        raise SqlError(f"cannot be translated to {dialect}: {error}: {_shorten(sql)}") from error


def _suit(statement: Any, dialect: str) -> Any:
    """Say what sqlglot would say in words that an engine does not take.

    BigQuery's DATE_DIFF counts no seconds, and Redshift's DATEDIFF takes times without zone: those of a session in UTC.
    """
    from sqlglot import exp  # noqa: PLC0415 - as above

    def replace(node: Any) -> Any:
        if not isinstance(node, exp.DateDiff) or node.text("unit").upper() not in _PARTS_OF_A_DAY:
            return node
        if dialect == "bigquery":
            return exp.TimestampDiff(this=node.this, expression=node.expression, unit=node.args["unit"])
        later, earlier = (exp.cast(moment, "timestamp") for moment in (node.this, node.expression))
        return exp.DateDiff(this=later, expression=earlier, unit=node.args["unit"])

    return statement.transform(replace) if dialect in {"bigquery", "redshift"} else statement


def _fragment(error: Any, sql: str) -> str:
    facts = error.errors[0] if error.errors else {}
    if not facts:
        return _shorten(sql)
    near = f"{facts.get('start_context', '')[-40:]}>>{facts.get('highlight', '')}<<{facts.get('end_context', '')[:40]}"
    return f"line {facts.get('line')}: {facts.get('description')} near: {_shorten(near)}"


def _shorten(sql: str, limit: int = 160) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
