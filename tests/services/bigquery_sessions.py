"""The emulator of BigQuery, with the sessions that it lacks: ``python bigquery_sessions.py start --rest-port PORT``.

It gives session ids and keeps no session. Here each has a connection of its own to the emulator's DuckDB, so that a transaction spans
the queries of its session, others do not see it before its end, and of two that change one row the later is refused, in BigQuery's
words. This runs in the emulator's environment, which has nothing of ours.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any

import sqlglot
from bqemulator.api.routes import jobs
from bqemulator.catalog.ddl_sync import sync_created_table
from bqemulator.cli import main
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.storage.engine import DuckDBEngine

CURRENT: ContextVar[Any] = ContextVar("connection of the session", default=None)
SESSIONS: dict[str, Any] = {}
CONTROL = {"begin transaction": "begin", "commit transaction": "commit", "rollback transaction": "rollback"}
END = re.compile(r"call bq\.abort_session\((?:'([^']*)')?\)")
LEADING_COMMENTS = re.compile(r"\A\s*(/\*.*?\*/\s*)+", re.DOTALL)  # an apostrophe in one makes it take texts for numbers
CONFLICTS = ("Conflict on", "write-write conflict", "has been altered")
REFUSED = "Transaction is aborted due to concurrent update against table. Transaction ID: 1"

own_connection: Any = DuckDBEngine.connection.fget  # type: ignore[attr-defined]
handle_query = jobs._handle_query_job


def find_session(query: dict[str, Any]) -> str | None:
    listed = query.get("connectionProperties") or []
    return next((entry["value"] for entry in listed if entry["key"] == "session_id"), None)


def open_session(ctx: Any, name: str) -> None:
    connection = own_connection(ctx.engine).cursor()
    connection.execute("set TimeZone = 'UTC'")
    SESSIONS[name] = connection


def find_connection(name: str) -> Any:
    """Return the connection of a session; one that is over is an error of the query, as it is in BigQuery."""
    if name not in SESSIONS:
        raise InvalidQueryError(f"Session {name} was terminated")
    return SESSIONS[name]


def end_session(name: str) -> None:
    find_connection(name).close()
    del SESSIONS[name]


async def handle(project_id: str, job_id: str, config: dict[str, Any], **given: Any) -> Any:
    query = config["query"]
    text = query.get("query", "").strip().lower()

    async def run(sql: str) -> Any:
        plain = LEADING_COMMENTS.sub("", sql)
        return await handle_query(project_id, job_id, {**config, "query": {**query, "query": plain}}, **given)

    if query.get("createSession"):
        meta = await run("select 1")
        name = meta.statistics["sessionInfo"]["sessionId"]
        open_session(given["ctx"], name)
        SESSIONS[name].execute(CONTROL.get(text, "select 1"))
        return meta
    name = find_session(query)
    if ended := END.fullmatch(query["query"].strip()):
        end_session(ended[1] or str(name))
        return await run("select 1")
    if name is None:
        meta = await run(query["query"])
        if text.startswith("alter table"):
            tell_columns(jobs._apply_default_dataset(query["query"], query, request_project_id=project_id), project_id, given["ctx"])
        return meta
    connection = find_connection(name)
    if text in CONTROL:
        connection.execute(CONTROL[text])
        return await run("select 1")
    CURRENT.set(connection)
    meta = await run(query["query"])
    error = getattr(meta, "error_result", None)
    if error and any(conflict in error["message"] for conflict in CONFLICTS):
        error["message"] = REFUSED
    return meta


def tell_columns(sql: str, project_id: str, ctx: Any) -> None:
    """Tell the API which columns a table has now: the emulator tells those that it was made with."""
    table = sqlglot.parse_one(sql, read="bigquery").this.sql(dialect="bigquery")
    sync_created_table(f"create table {table} (x int64)", project_id, ctx)


async def keep_no_snapshots(*_: Any) -> None:
    """Save the time of copying each table that is changed, for a time travel that nobody asks for."""


def patch() -> None:
    DuckDBEngine.connection = property(lambda engine: CURRENT.get() or own_connection(engine))  # type: ignore[method-assign, assignment]
    jobs._handle_query_job = handle
    executor._capture_dml_snapshots = keep_no_snapshots


if __name__ == "__main__":
    patch()
    main()
