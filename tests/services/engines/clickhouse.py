"""ClickHouse: its own engine (chdb) behind its HTTP interface, in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from blocks.warehouses.clickhouse import ClickHouseWarehouse
from tests.conformance.engine import DAYS, Engine, Rows, build_foreign
from tests.services.service import INSTALLED, Server, Service, find_free_port, run_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PASSWORD = "it's a \\ %s @:/ secret"
_SERVER = Path(__file__).parents[1] / "programs" / "clickhouse_server.py"
_SERVER_PACKAGES = ("chdb==4.4.0", "chdb-core==26.9.0", "lz4==4.4.5")


def _install() -> Path:
    folder = INSTALLED / "clickhouse-server"
    mark, python = folder / "packages.txt", folder / "bin" / "python"
    wanted = "\n".join((sys.version, *_SERVER_PACKAGES))
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", *_SERVER_PACKAGES], check=True)
        mark.write_text(wanted, encoding="utf-8")
    return python


def _is_healthy(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # nobody listens, or it says nothing in time
        return False


@contextmanager
def _start(folder: Path) -> Iterator[Mapping[str, str]]:
    python, port = _install(), find_free_port()
    server = Server([str(python), str(_SERVER), str(port), str(folder / "data"), PASSWORD], folder / "log")
    with run_server(server, lambda: _is_healthy(port)):
        yield {"ANOMFLOW_TEST_CLICKHOUSE_PORT": str(port)}


def connect(database: str = "default") -> Any:
    """Connect by the driver alone; columns that do not say otherwise may be null, as in other engines."""
    import clickhouse_connect

    port = int(os.environ["ANOMFLOW_TEST_CLICKHOUSE_PORT"])
    login = {"host": "127.0.0.1", "port": port, "username": "u", "password": PASSWORD, "database": database}
    settings = {"data_type_default_nullable": 1}
    return clickhouse_connect.get_client(**login, settings=settings, autogenerate_session_id=False)


def run_raw(warehouse: ClickHouseWarehouse, statements: Sequence[str]) -> Rows:
    """Run statements in the database of a warehouse and return the rows of the last, by the driver alone."""
    with closing(connect(warehouse.database)) as client:
        for statement in statements[:-1]:
            client.command(statement)
        if statements[-1].lstrip().casefold().startswith(("select", "with")):
            return [tuple(row) for row in client.query(statements[-1]).result_rows]
        client.command(statements[-1])
        return []


def build_warehouse(folder: Path, seconds: float = 20.0, **changed: Any) -> ClickHouseWarehouse:
    """Make a warehouse with a database of its own for each folder."""
    database = f"d_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    with closing(connect()) as client:
        client.command(f"create database if not exists {database}")
    fields = {
        "host": "127.0.0.1",
        "port": int(os.environ["ANOMFLOW_TEST_CLICKHOUSE_PORT"]),
        "secure": False,
        "user": "anomflow",
        "password": PASSWORD,
        "database": database,
        "lock_timeout_seconds": seconds,
        "lease_seconds": 10,
    }
    return ClickHouseWarehouse(**{**fields, **changed})


def _find_environment(warehouse: ClickHouseWarehouse) -> dict[str, str]:
    names = ("host", "port", "secure", "user", "database", "lock_timeout_seconds", "lease_seconds")
    fields = {name: getattr(warehouse, name) for name in names}
    return {f"ANOMFLOW_CLICKHOUSE_{name.upper()}": str(value) for name, value in {**fields, "password": PASSWORD}.items()}


def _build_foreign(time_type: str, value_type: str = "Nullable(Float64)", *, metadata: bool = True) -> tuple[str, ...]:
    """Make a table as Anomstack does, where no text is null."""
    table, rows = build_foreign(f"{time_type} not null", *DAYS, metadata=metadata, value_type=value_type)
    return f"{table.replace('varchar', 'String not null')} engine = MergeTree order by tuple()", rows


ENGINE = Engine(
    kind="clickhouse",
    find_environment=_find_environment,
    build=build_warehouse,
    run_raw=run_raw,
    find_schema=lambda warehouse: warehouse.database,
    time_type="DateTime64(6, 'UTC')",
    foreign={
        "anomstack": _build_foreign("DateTime"),
        "zoned": _build_foreign("DateTime64(6, 'UTC')"),
        "nanoseconds": _build_foreign("DateTime64(9)"),
        "low cardinality": tuple(
            sql.replace("String not null", "LowCardinality(String) not null") for sql in _build_foreign("DateTime64(6)")
        ),
        "without metadata": _build_foreign("DateTime", metadata=False),
    },
)
SERVICE = Service(packages=("clickhouse-connect==1.12.0", "lz4==4.4.5", "backports.zstd==1.8.0"), start=_start)
