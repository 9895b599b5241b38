"""Redshift: a real PostgreSQL, behind a proxy that refuses what Redshift refuses (``programs/redshift_proxy.py``)."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.warehouses.redshift import RedshiftWarehouse
from tests.conformance.engine import DAYS, Engine, build_foreign
from tests.services.engines import postgres
from tests.services.engines.postgres import PASSWORD, ROLE, run_as_superuser, run_raw
from tests.services.service import Server, Service, find_free_port, run_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PROXY = Path(__file__).parents[1] / "programs" / "redshift_proxy.py"
# As in Redshift: a transaction sees one state of the database, and a backslash in a literal escapes.
_SETTINGS = {"default_transaction_isolation": "repeatable read", "standard_conforming_strings": "off", "escape_string_warning": "off"}
_FUNCTION = (
    "create function pg_catalog.datediff(part text, first timestamp, last timestamp) returns bigint immutable language sql as "
    "$$select extract(epoch from date_trunc(part, last) - date_trunc(part, first))::bigint$$"
)


@contextmanager
def _start(folder: Path) -> Iterator[Mapping[str, str]]:
    with postgres.SERVICE.start(folder) as given:
        for name, value in _SETTINGS.items():
            run_as_superuser(f"alter database {ROLE} set {name} = '{value}'")
        run_as_superuser(_FUNCTION, ROLE)
        port = find_free_port()
        command = [sys.executable, str(_PROXY), str(port), given["ANOMFLOW_TEST_POSTGRES_PORT"]]
        with run_server(Server(command, folder / "proxy.log"), lambda: _is_listening(port)):
            yield {**given, "ANOMFLOW_TEST_REDSHIFT_PORT": str(port), "ANOMFLOW_TEST_REDSHIFT_LOG": str(folder / "proxy.log")}


def _is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def build_warehouse(folder: Path, seconds: float = 20.0, **changed: Any) -> RedshiftWarehouse:
    """Make a warehouse in a schema of its own for each folder."""
    schema = f"s_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    run_as_superuser(f"create schema if not exists {schema} authorization {ROLE}", ROLE)
    fields = {
        "host": "127.0.0.1",
        "port": os.environ["ANOMFLOW_TEST_REDSHIFT_PORT"],
        "database": ROLE,
        "user": ROLE,
        "password": PASSWORD,
        "sslmode": "disable",
        "schema_name": schema,
        "lock_timeout_seconds": seconds,
    }
    return RedshiftWarehouse(**{**fields, **changed})


def _find_environment(warehouse: RedshiftWarehouse) -> dict[str, str]:
    fields = {name: getattr(warehouse, name) for name in ("host", "port", "database", "user", "sslmode", "schema_name")}
    return {f"ANOMFLOW_REDSHIFT_{name.upper()}": str(value) for name, value in {**fields, "password": PASSWORD}.items()}


ENGINE = Engine(
    kind="redshift",
    find_environment=_find_environment,
    build=build_warehouse,
    run_raw=run_raw,
    find_schema=lambda warehouse: warehouse.schema_name,
    time_type="timestamptz",
    foreign={
        "naive": build_foreign("timestamp", *DAYS),
        "zoned": build_foreign("timestamptz", *(f"{day[:-1]}+00'" for day in DAYS)),
        "without metadata": build_foreign("timestamp", *DAYS, metadata=False),
    },
)
SERVICE = Service(
    packages=(
        *postgres.SERVICE.packages,
        "redshift-connector==2.2.0",
        "scramp==1.4.17",
        "asn1crypto==1.5.1",
        "boto3==1.44.5",
        "botocore==1.44.5",
        "jmespath==1.1.0",
        "s3transfer==0.19.3",
    ),
    start=_start,
)
