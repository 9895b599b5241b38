"""What Redshift refuses and PostgreSQL takes, and the other way round, as far as a statement of ours could hold it.

The pages are those of Redshift's Database Developer Guide, docs.aws.amazon.com/redshift/latest/dg/<page>.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# Literals (in which a backslash escapes: r_patternmatching_condition_like), quoted names and comments are no code.
_PIECE: Final = re.compile(r"""('(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|/\*.*?\*/|--[^\n]*)""", re.DOTALL)

# Code that is refused, in what page it says so.
REFUSED: Final = {
    r"\bon conflict\b": "ON CONFLICT (c_unsupported-postgresql-features: r_MERGE instead)",
    r"\breturning\b": "RETURNING (r_INSERT_30, r_DELETE)",
    r"\bdistinct on\b": "DISTINCT ON (r_SELECT_list)",
    r"\bis (not )?distinct from\b": "IS DISTINCT FROM (r_comparison_condition)",
    r"\bfilter \(": "FILTER of an aggregate (c_Aggregate_Functions)",
    r"\barray\s*\[|\[": "array constructors and subscripts (c_unsupported-postgresql-features)",
    r"\b(any|some)\s*\(": "ANY and SOME of an array (c_unsupported-postgresql-datatypes)",
    r"\blateral\b": "LATERAL (r_FROM_clause30)",
    r"\bfrom \(values\b|\bwith \w+ as \(\s*values\b": "VALUES as a constant table (c_unsupported-postgresql-features)",
    r"\bcreate (unique )?index\b": "indexes (c_unsupported-postgresql-features)",
    r"\bon commit\b": "ON COMMIT (r_CREATE_TABLE_NEW)",
    r"\bpg_temp\b": "a schema of a temporary table (r_CREATE_TABLE_NEW)",
    r"\bctid\b": "PostgreSQL's system columns (c_unsupported-postgresql-features)",
    r"\bsavepoint\b": "SAVEPOINT (c_SQL_commands)",
    r"\bfor (update|share)\b": "FOR UPDATE (r_SELECT_synopsis)",
    r"^\s*delete from \S+ +(as +)?(?!using\b|where\b)\w": "an alias of the table of DELETE (r_DELETE)",
    r"^\s*delete\b.*\busing \S+ +(?!where\b)\w": "an alias of a table of USING (r_DELETE)",
    r"^\s*copy\b.*\bstdin\b": "COPY from the client (r_COPY)",
    r"\bset (local )?(lock_timeout|idle_in_transaction_session_timeout|standard_conforming_strings)\b": "this parameter "
    "(cm_chap_ConfigurationRef)",
    r"^\s*(create|alter)\b.*\b(text|jsonb?|uuid|bytea|serial|bigserial|inet|money)\b(?!\s*\()": "this type, or another length of it "
    "(c_unsupported-postgresql-datatypes)",
    r"^\s*alter table\b.*\btype\b(?! varchar)": "another type of a column (r_ALTER_TABLE)",
    r"^\s*lock\b.*\bmode\b": "modes of LOCK (r_LOCK)",
    r"^\s*(listen|notify|vacuum full analyze|create trigger|create rule|create sequence)\b": "(c_unsupported-postgresql-features)",
}
# Functions that its reference lists (c_SQL_functions) and our statements use, and words before a parenthesis that are no functions.
FUNCTIONS: Final = frozenset(
    {
        "abs",
        "avg",
        "cast",
        "coalesce",
        "count",
        "current_schema",
        "date_trunc",
        "dateadd",
        "datediff",
        "dense_rank",
        "extract",
        "first_value",
        "format_type",
        "getdate",
        "greatest",
        "lag",
        "last_value",
        "lead",
        "least",
        "length",
        "listagg",
        "lower",
        "max",
        "median",
        "min",
        "mod",
        "nullif",
        "pg_table_is_visible",
        "position",
        "rank",
        "round",
        "row_number",
        "substring",
        "sum",
        "trim",
        "trunc",
        "try_cast",
        "upper",
    }
)
WORDS: Final = frozenset(
    {
        "and",
        "as",
        "by",
        "case",
        "compound",
        "distkey",
        "else",
        "exists",
        "from",
        "in",
        "into",
        "join",
        "not",
        "numeric",
        "on",
        "or",
        "over",
        "select",
        "sortkey",
        "table",
        "then",
        "using",
        "values",
        "varchar",
        "when",
        "where",
        "with",
    }
)
# What PostgreSQL does not know, and what it means there.
REWRITTEN: Final = (
    (re.compile(r"\bdatediff\(\s*second\s*,", re.IGNORECASE), "datediff('second',"),
    (re.compile(r"\btry_cast\(", re.IGNORECASE), "cast("),
    (re.compile(r"\b((compound )?sortkey|distkey)\([^)]*\)"), ""),
)


def find_refused(statement: str) -> str | None:
    """Return what of a statement Redshift refuses, None where nothing is known of it."""
    code = "".join(piece if is_code else _stand_in(piece) for piece, is_code in _split(statement))
    for pattern, words in REFUSED.items():
        if re.search(pattern, code, re.IGNORECASE | re.DOTALL):
            return words
    named = re.sub(r"\b(table|into|exists) \w+", ";", code.casefold())
    called = re.findall(r"\b([a-z_]\w*)\s*\(", named)
    unknown = sorted({name for name in called if name not in FUNCTIONS | WORDS})
    return f"the function {unknown[0]}" if unknown else None


def to_postgres(statement: str) -> str:
    """Write a statement of Redshift as PostgreSQL takes it."""
    pieces = []
    for piece, is_code in _split(statement):
        changed = piece
        for pattern, text in REWRITTEN if is_code else ():
            changed = pattern.sub(text, changed)
        pieces.append(changed)
    return "".join(pieces)


def _split(statement: str) -> Iterator[tuple[str, bool]]:
    for place, piece in enumerate(_PIECE.split(statement)):
        yield piece, place % 2 == 0


def _stand_in(piece: str) -> str:
    return {"'": "''", '"': '""'}.get(piece[0], " ")
