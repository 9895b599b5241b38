"""A stand-in for Snowflake over HTTP: fakesnow's server, with what a session of Snowflake does and fakesnow does not.

Runs in an environment of its own: ``python snowflake_server.py PORT``. What is added: null times stay null, an error of the
engine is an answer and no crash, FLATTEN is known in a MERGE, a conflict of writers is Snowflake's error of a lock,
DDL commits the open transaction,
and a transaction ends with its session, or when it has been idle and stands in others' way.
"""

from __future__ import annotations

import string
import sys
import threading
import time
from typing import Any

import duckdb
import fakesnow.arrow
import fakesnow.cursor
import fakesnow.info_schema
import fakesnow.server
import fakesnow.transforms
import pyarrow as pa
import uvicorn
from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

IDLE_SECONDS = 8.0  # Snowflake waits five minutes
LOCK_TIMEOUT = {"errno": 625, "sqlstate": "57014"}
OTHER = {"errno": 100000, "sqlstate": "22000"}
DEFINITIONS = ("create", "alter", "drop", "truncate")

send_times = fakesnow.arrow.timestamp_to_sf_struct
describe_table = fakesnow.transforms.describe_table
run = FakeSnowflakeCursor.execute
run_transformed = FakeSnowflakeCursor._execute
used: dict[int, tuple[Any, float]] = {}  # by the number of a session: its connection and when its last statement ended
guard = threading.Lock()


def send_times_and_nulls(column: Any) -> Any:
    """Send null times as null."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not whole.null_count:
        return send_times(whole)
    sent = send_times(whole.fill_null(pa.scalar(0, pa.int64()).cast(whole.type)))
    return pa.StructArray.from_arrays(sent.flatten(), fields=list(sent.type), mask=whole.is_null())


def execute(self: Any, command: str, *given: Any, **named: Any) -> Any:
    """Run a statement; tell what goes wrong in Snowflake's codes."""
    with guard:
        used.pop(id(self._conn), None)  # a session is not idle while its statement takes long
    try:
        if command.lower().startswith(DEFINITIONS):
            end_transaction(self._conn, "commit")
        return run(self, rewrite(command), *given, **named)
    except duckdb.TransactionException as error:
        end_idle(self._conn)
        raise ProgrammingError(msg=f"Statement was aborted because of a lock: {error}", **LOCK_TIMEOUT) from error
    except (duckdb.Error, ValueError, RuntimeError, AssertionError) as error:
        raise ProgrammingError(msg=str(error).split("\n")[0], **OTHER) from error
    finally:
        with guard:
            used[id(self._conn)] = (self._conn, time.monotonic())


def execute_transformed(self: Any, transformed: Any, params: Any = None) -> None:
    """Run a MERGE whole, by DuckDB's own, and report the rows that it changed."""
    run_transformed(self, transformed, params)
    if isinstance(transformed, exp.Merge):
        count = self._arrow_table.column(0)[0].as_py()
        self._arrow_table = pa.table({"number of rows inserted": [count]})
        self._last_sql, self._last_params, self._rowcount = f'SELECT {count} AS "number of rows inserted"', None, count


class QuotedTemplate(string.Template):
    """Quote a name in the text that tells what was made."""

    def substitute(self, **named: str) -> str:
        """Fill in."""
        return super().substitute(**{key: str(value).replace("'", "''") for key, value in named.items()})


def describe(expression: Any, *place: Any) -> Any:
    """Describe a table with a quote in its name too."""
    if isinstance(expression, exp.Describe):
        expression = expression.copy()
        for name in expression.find_all(exp.Identifier):
            name.set("this", name.name.replace("'", "''"))
    return describe_table(expression, *place)


def rewrite(command: str) -> str:
    """Say in another way what is not understood: a function of tables in a MERGE."""
    if not command.startswith("merge"):
        return command
    return command.replace("from table(flatten(input => parse_json(?))) as f)", "from lateral flatten(input => parse_json(?)) as f)", 1)


def end_transaction(connection: Any, how: str) -> None:
    """End the open transaction, if there is one."""
    try:
        connection._duck_conn.execute(how)
    except duckdb.Error as error:
        if "no transaction is active" not in str(error):
            raise


def end_idle(mine: Any) -> None:
    """Undo what idle sessions have open."""
    with guard:
        idle = [connection for connection, when in used.values() if connection is not mine and time.monotonic() - when > IDLE_SECONDS]
    for connection in idle:
        end_transaction(connection, "rollback")


async def change_session(request: Any) -> JSONResponse:
    """Undo what a session has open when it ends."""
    connection = fakesnow.server.sessions.get(fakesnow.server.to_token(request))
    answer = await fakesnow.server.session(request)
    if connection is not None and request.query_params.get("delete"):
        with guard:
            used.pop(id(connection), None)
        end_transaction(connection, "rollback")
    return answer


async def take_telemetry(_: Any) -> JSONResponse:
    return JSONResponse({"success": True})


fakesnow.arrow.timestamp_to_sf_struct = send_times_and_nulls
fakesnow.transforms.describe_table = describe
note_lengths = fakesnow.info_schema.insert_text_lengths_sql
fakesnow.info_schema.insert_text_lengths_sql = lambda catalog, schema, name, lengths: note_lengths(
    catalog, schema, name.replace("'", "''"), lengths
)
fakesnow.cursor.SQL_CREATED_TABLE = QuotedTemplate(fakesnow.cursor.SQL_CREATED_TABLE.template)
fakesnow.transforms.merge = lambda expression: [expression]  # its own needs a temporary table, which ends the transaction
FakeSnowflakeCursor.execute = execute
FakeSnowflakeCursor._execute = execute_transformed
fakesnow.server.shared_fs.duck_conn.execute("set global memory_limit = '2GB'")
own = [
    Route("/session", change_session, methods=["POST"]),
    Route("/telemetry/send", take_telemetry, methods=["POST"]),
]
app = Starlette(routes=[*own, *fakesnow.server.routes])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
