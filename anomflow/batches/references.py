"""What can be doubted, but not told for sure without a connection: kinds of blocks by name, a query's syntax."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anomflow import sql
from anomflow.batches.layers import DEFAULT
from anomflow.batches.suggestions import suggest
from anomflow.errors import Problem, SqlError

if TYPE_CHECKING:
    from anomflow.batches.batch import Batch

# Engines whose kind is not what sqlglot calls their dialect.
_JOBS: Final[tuple[sql.Query, ...]] = ("train", "score", "change", "plot")
_DIALECTS: Final = {"motherduck": "duckdb", "turso": "sqlite"}


@dataclass(frozen=True)
class Kinds:
    """The kinds of blocks that there are: warehouses, model stores, channels."""

    warehouses: Collection[str]
    stores: Collection[str]
    channels: Collection[str]


def find_doubts(batch: Batch, kinds: Kinds) -> Iterator[Problem]:
    """Report (as warnings) kinds that nobody has, and an ``ingest_sql`` that does not parse in its database's dialect."""
    yield from find_unknown_kinds(batch, kinds)
    yield from _check_ingest(batch)
    yield from _check_translations(batch)


def find_unknown_kinds(batch: Batch, kinds: Kinds) -> Iterator[Problem]:
    """Report (as warnings) the warehouses, stores and channels of a batch that are of kinds that nobody has."""
    yield from _find_unknown(batch, "db", (batch.spec.common.db,), kinds.warehouses)
    yield from _find_unknown(batch, "ledger_db", (batch.spec.common.ledger_db or "",), kinds.warehouses)
    yield from _find_unknown(batch, "ingest_db", (batch.spec.ingest.ingest_db or "",), kinds.warehouses)
    yield from _find_unknown(batch, "model_path", (batch.spec.models.model_path,), kinds.stores)
    yield from _find_unknown(batch, "alert_methods", batch.spec.alert.alert_methods, kinds.channels)


def _find_unknown(batch: Batch, key: str, names: Collection[str], known: Collection[str]) -> Iterator[Problem]:
    for name in names:
        kind = name.split("/", 1)[0].removesuffix(":")
        if not kind or kind in known:
            continue
        origin = batch.origins.get(key, DEFAULT)
        message = f"{key} is {name!r}, of a kind that there is none of here; known: {', '.join(sorted(known))}.{suggest(kind, list(known))}"
        yield Problem(origin.where, origin.line, message, key, warning=True)


def _check_ingest(batch: Batch) -> Iterator[Problem]:
    template = batch.template("ingest_sql")
    if template is None:
        return
    dialect = _find_dialect(batch.spec.ingest.ingest_db or batch.spec.common.db)
    try:
        reason = _parse(sql.build_query("ingest", batch, sql.AnsiQuoting(dialect), {}), dialect)
    except SqlError:  # what loading has reported as an error
        return
    if reason is not None:
        yield Problem(template.where, template.line, f"ingest_sql is hardly SQL of {dialect}: {reason}", "ingest_sql", warning=True)


def _check_translations(batch: Batch) -> Iterator[Problem]:
    """Translate the batch's own queries of jobs for its warehouse, where loading has parsed them as DuckDB's."""
    dialect = _find_dialect(batch.spec.common.db)
    for query in _JOBS:
        template = batch.template(f"{query}_sql")
        if template is None or not _is_dialect(dialect):
            continue
        try:
            sql.build_query(query, batch, sql.AnsiQuoting(dialect), sql.sample_variables(query))
        except SqlError as error:
            yield Problem(template.where, template.line, f"{query}_sql: {error.message}", f"{query}_sql", warning=True)


def _find_dialect(ref: str) -> str:
    kind = ref.split("/", 1)[0]
    return _DIALECTS.get(kind, kind)


def _is_dialect(name: str) -> bool:
    import sqlglot  # noqa: PLC0415 - takes half a second, which only `validate` need wait for

    return sqlglot.Dialect.get(name) is not None


def _parse(text: str, dialect: str) -> str | None:
    import sqlglot  # noqa: PLC0415 - as above
    from sqlglot.errors import SqlglotError  # noqa: PLC0415 - as above

    if not _is_dialect(dialect):
        return None
    # What sqlglot does not know it logs, once a statement, and keeps as it is.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        statements = [statement for statement in sqlglot.parse(text, read=dialect) if statement is not None]
    except SqlglotError as error:
        return " ".join(str(error).replace("\x1b[4m", ">>").replace("\x1b[0m", "<<").split())
    return None if len(statements) == 1 else f"it holds {len(statements)} statements, not one"
