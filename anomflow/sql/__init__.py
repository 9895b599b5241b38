"""SQL text: Jinja templates rendered, DuckDB's dialect translated, names and values quoted."""

from anomflow.sql.queries import (
    JOB_VARIABLES,
    REQUIRED_COLUMNS,
    RESERVED,
    SHIPPED,
    AnsiQuoting,
    Query,
    SessionLike,
    build_query,
    check_columns,
    read_template,
    sample_variables,
)
from anomflow.sql.templates import Quoting, Sql, Template, build_environment, render, render_with, resolve_include
from anomflow.sql.translation import translate

__all__ = [
    "JOB_VARIABLES",
    "REQUIRED_COLUMNS",
    "RESERVED",
    "SHIPPED",
    "AnsiQuoting",
    "Query",
    "Quoting",
    "SessionLike",
    "Sql",
    "Template",
    "build_environment",
    "build_query",
    "check_columns",
    "read_template",
    "render",
    "render_with",
    "resolve_include",
    "sample_variables",
    "translate",
]
