"""Snowflake: fakesnow's server, in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import venv
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.warehouses.snowflake import SnowflakeWarehouse
from tests.conformance.engine import DAYS, Engine, Rows, build_foreign
from tests.services.service import INSTALLED, Server, Service, find_free_port, run_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DATABASE = "SHOP"
PASSWORD = "it's a \\ %s @:/ secret"
_SERVER = Path(__file__).parents[1] / "programs" / "snowflake_server.py"
# Not beside the locked packages: it needs another sqlglot, and a DuckDB that we do not take.
_SERVER_PACKAGES = ("fakesnow[server]==0.12.1", "snowflake-connector-python[pandas]==4.8.1")


def _install() -> Path:
    folder = INSTALLED / "snowflake-server"
    mark, python = folder / "packages.txt", folder / "bin" / "python"
    wanted = "\n".join((sys.version, *_SERVER_PACKAGES))
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", *_SERVER_PACKAGES], check=True)
        mark.write_text(wanted, encoding="utf-8")
    return python


def _is_listening(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _start(folder: Path) -> Iterator[Mapping[str, str]]:
    python, port = _install(), find_free_port()
    server = Server([str(python), str(_SERVER), str(port)], folder / "log")
    with run_server(server, lambda: _is_listening(port)):
        yield {"ANOMFLOW_TEST_SNOWFLAKE_PORT": str(port)}


def run_raw(warehouse: SnowflakeWarehouse, statements: Sequence[str]) -> Rows:
    """Run statements in the schema of a warehouse, by the connector alone."""
    from snowflake import connector

    place = {"host": warehouse.host, "port": warehouse.port, "protocol": "http", "schema": warehouse.schema_name}
    with closing(connector.connect(user="u", password="p", account="a", database=DATABASE, **place)) as connection:
        for statement in statements:
            cursor = connection.cursor().execute(statement)
        return list(cursor.fetchall())


def build_warehouse(folder: Path, seconds: float = 20.0, **changed: Any) -> SnowflakeWarehouse:
    """Make a warehouse in a schema of its own for each folder."""
    fields = {
        "account": "fakesnow",
        "user": "anomflow",
        "password": PASSWORD,
        "host": "127.0.0.1",
        "port": os.environ["ANOMFLOW_TEST_SNOWFLAKE_PORT"],
        "protocol": "http",
        "database": DATABASE,
        "schema_name": f"S_{hashlib.sha256(str(folder).encode()).hexdigest()[:16].upper()}",
        "lock_timeout_seconds": seconds,
    }
    return SnowflakeWarehouse(**{**fields, **changed})


def _find_environment(warehouse: SnowflakeWarehouse) -> dict[str, str]:
    names = ("account", "user", "host", "port", "protocol", "database", "schema_name", "lock_timeout_seconds")
    fields = {name: getattr(warehouse, name) for name in names}
    return {f"ANOMFLOW_SNOWFLAKE_{name.upper()}": str(value) for name, value in {**fields, "password": PASSWORD}.items()}


ENGINE = Engine(
    kind="snowflake",
    find_environment=_find_environment,
    build=build_warehouse,
    run_raw=run_raw,
    find_schema=lambda warehouse: warehouse.schema_name,
    time_type="timestamp_ltz",
    foreign={
        "naive": build_foreign("timestamp_ntz", *DAYS),
        "zoned": build_foreign("timestamp_tz", *(f"{day[:-1]}+00:00'" for day in DAYS)),
        "local": build_foreign("timestamp_ltz", *DAYS),
        "without metadata": build_foreign("timestamp_ntz", *DAYS, metadata=False),
    },
)
SERVICE = Service(
    packages=(
        "snowflake-connector-python==4.8.1",
        "prefect-snowflake==0.28.9",
        "asn1crypto==1.5.1",
        "boto3==1.44.5",
        "botocore==1.44.5",
        "jmespath==1.1.0",
        "pyjwt==2.15.1",
        "pyopenssl==26.4.0",
        "s3transfer==0.19.3",
    ),
    start=_start,
)
