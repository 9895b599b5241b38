"""PostgreSQL: a real server from Debian's package."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blocks.warehouses.postgres import PostgresWarehouse
from tests.conformance.engine import DAYS, Engine, Rows, build_foreign
from tests.services.postgres_server import SUPERUSER, SUPERUSER_PASSWORD, serve_postgres
from tests.services.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PASSWORD = "it's a \\ %s @:/ secret"
ROLE = "anomflow"  # neither a superuser nor the owner of anything but the database


@contextmanager
def _start(folder: Path) -> Iterator[Mapping[str, str]]:
    with serve_postgres(folder) as port:
        environment = {"ANOMFLOW_TEST_POSTGRES_PORT": str(port)}
        os.environ.update(environment)
        run_as_superuser(f"create role {ROLE} login password {_quote(PASSWORD)}")
        run_as_superuser(f"create database {ROLE} owner {ROLE}")
        yield environment


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def run_as_superuser(statement: str, database: str = "postgres") -> Rows:
    """Run one statement by the driver alone."""
    return _run(f"user={SUPERUSER} password={SUPERUSER_PASSWORD} dbname={database}", [statement])


def _run(login: str, statements: Sequence[str]) -> Rows:
    from adbc_driver_postgresql import dbapi

    address = f"host=127.0.0.1 port={os.environ['ANOMFLOW_TEST_POSTGRES_PORT']} {login}"
    with closing(dbapi.connect(address, autocommit=True)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def run_raw(warehouse: PostgresWarehouse, statements: Sequence[str]) -> Rows:
    """Run statements in the schema of a warehouse, by the driver alone."""
    places = [f"set role {ROLE}", f"set search_path = {warehouse.schema_name}", "set timezone = 'UTC'"]
    return _run(f"user={SUPERUSER} password={SUPERUSER_PASSWORD} dbname={ROLE}", [*places, *statements])


def build_warehouse(folder: Path, seconds: float = 20.0, **changed: Any) -> PostgresWarehouse:
    """Make a warehouse in a schema of its own for each folder."""
    schema = f"s_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    run_as_superuser(f"create schema if not exists {schema} authorization {ROLE}", ROLE)
    fields = {
        "host": "127.0.0.1",
        "port": os.environ["ANOMFLOW_TEST_POSTGRES_PORT"],
        "database": ROLE,
        "user": ROLE,
        "password": PASSWORD,
        "schema_name": schema,
        "lock_timeout_seconds": seconds,
    }
    return PostgresWarehouse(**{**fields, **changed})


def _find_environment(warehouse: PostgresWarehouse) -> dict[str, str]:
    fields = {name: getattr(warehouse, name) for name in ("host", "port", "database", "user", "schema_name")}
    return {f"ANOMFLOW_POSTGRES_{name.upper()}": str(value) for name, value in {**fields, "password": PASSWORD}.items()}


ENGINE = Engine(
    kind="postgres",
    find_environment=_find_environment,
    build=build_warehouse,
    run_raw=run_raw,
    find_schema=lambda warehouse: warehouse.schema_name,
    time_type="timestamptz",
    foreign={
        "naive": build_foreign("timestamp", *DAYS),
        "zoned": build_foreign("timestamptz", *(f"{day[:-1]}+00'" for day in DAYS)),
        "numeric": build_foreign("timestamptz", *DAYS, value_type="numeric"),
        "without metadata": build_foreign("timestamp", *DAYS, metadata=False),
    },
)
SERVICE = Service(packages=("adbc-driver-postgresql==1.13.0",), start=_start)
