"""ClickHouse's own engine (chdb) behind ClickHouse's HTTP interface: ``python clickhouse_server.py PORT FOLDER PASSWORD``.

Each request has a connection of its own to the engine, with its settings and its database. What is not here: sessions, users and
their rights, external tables, progress headers. This runs in an environment of its own, which has nothing of ours.
"""

from __future__ import annotations

import base64
import gzip
import re
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

FOLDER, PASSWORD = sys.argv[2], sys.argv[3]
NO_SETTINGS = {"query", "database", "query_id", "default_format", "wait_end_of_query", "client_protocol_version", "compress", "decompress"}
INSERT = re.compile(rb"\s*(insert\s+into\s.*?\sformat\s+\w+)[ \t]*\n", re.IGNORECASE | re.DOTALL)
FORMAT = re.compile(r"\sformat\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)")
UNPACK = {"gzip": gzip.decompress, "lz4": lz4.frame.decompress, "": bytes}


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body go out together

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer whether the server is there."""
        self.answer(200, b"Ok.\n", {})

    def do_POST(self) -> None:
        """Run one statement."""
        body = self.read_body()
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if "query" in given:
            body = given["query"].encode() + b"\n" + body
        login = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if login.partition(":")[2] != PASSWORD:
            self.fail("Code: 516. DB::Exception: anomflow: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)")
            return
        try:
            answer, form = run(given, body)
        except Exception as error:  # noqa: BLE001 - told to the client
            self.fail(str(error))
        else:
            self.answer(200, answer, {"X-ClickHouse-Format": form, "X-ClickHouse-Timezone": "UTC"})

    def read_body(self) -> bytes:
        """Read what was sent, in one piece or in chunks, packed or not."""
        parts = []
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            parts.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        return UNPACK[self.headers.get("Content-Encoding", "")](b"".join(parts))

    def fail(self, words: str) -> None:
        """Answer with an error of the engine, as the server does."""
        found = CODE.search(words)
        code = found[1] if found else "1001"
        self.answer({"516": 401, "60": 404, "81": 404}.get(code, 500), words.encode(), {"X-ClickHouse-Exception-Code": code})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-ClickHouse-Summary": "{}", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def run(given: dict[str, str], body: bytes) -> tuple[bytes, str]:
    """Run a statement on a connection of its own and return its answer and its format."""
    connection = chdb.connect(FOLDER)
    try:
        if given.get("database"):
            connection.query(f"use `{given['database']}`")
        for name, value in sorted(given.items(), key=lambda setting: setting[0] == "readonly"):
            if name not in NO_SETTINGS:
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                connection.query(f"set {name} = '{quoted}'")
        insert = INSERT.match(body)
        if insert:
            return insert_rows(connection, insert[1].decode(), body[insert.end() :]), ""
        sql = body.decode().strip()
        form = FORMAT.search(sql)
        sql, name = (sql[: form.start()], form[1]) if form else (sql, given.get("default_format", "TabSeparated"))
        found = connection.query(sql, name)
        return (found.bytes() if found is not None else b"") or b"", name
    finally:
        connection.close()


def insert_rows(connection: chdb.state.sqlitelike.Connection, head: str, rows: bytes) -> bytes:
    """Insert rows that came behind a statement: the engine takes them from a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(rows)
        file.flush()
        place, _, form = head.rpartition(" FORMAT ")
        connection.query(f"{place} from infile '{Path(file.name)}' format {form}")
    return b""


if __name__ == "__main__":
    engine = chdb.connect(FOLDER)  # which goes on as long as there is a connection to it
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
