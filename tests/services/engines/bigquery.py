"""BigQuery: bqemulator, which speaks its API over DuckDB, with sessions of ours (``bigquery_sessions.py``)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import sqlglot

from blocks.warehouses.bigquery import BigQueryWarehouse
from tests.conformance.engine import DAYS, Engine, Rows, build_foreign
from tests.services.service import INSTALLED, ROOT, Server, Service, find_free_port, run_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = "local"
# An environment of its own: it needs another sqlglot. The extension that it would download comes as a package up to DuckDB 1.5.5.
EMULATOR = ("bqemulator==1.4.0", "numpy", "duckdb==1.5.5", "duckdb-extensions==1.5.5", "duckdb-extension-spatial==1.5.5")
CHAIN = "tests/services/test_chain.py"
NAMES = "BigQuery's names have letters, digits, underscores, dashes and spaces"
EMULATED_NAMES = "the emulator takes ASCII names without spaces only; BigQuery takes this one"


def _install() -> tuple[Path, Path]:
    """Return the emulator's interpreter and home, made unless they are there."""
    folder = INSTALLED / "bigquery-emulator"
    program, home, mark = folder / "bin" / "python", folder / "home", folder / "installed.txt"
    wanted = "\n".join((sys.version, *EMULATOR))
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([program, "-m", "pip", "--disable-pip-version-check", "install", "-qq", *EMULATOR], check=True)
        unpack = "from duckdb_extensions import import_extension; import_extension('spatial')"
        home.mkdir()
        subprocess.run([program, "-c", unpack], check=True, env=os.environ | {"HOME": str(home)}, stdout=subprocess.DEVNULL)
        mark.write_text(wanted, encoding="utf-8")
    return program, home


@contextmanager
def _start(folder: Path) -> Iterator[Mapping[str, str]]:
    program, home = _install()
    port = find_free_port()
    emulator = [program, ROOT / "tests" / "services" / "bigquery_sessions.py", "start", "--log-level", "warning"]
    command = ["/usr/bin/env", f"HOME={home}", *emulator, "--rest-port", port, "--grpc-port", find_free_port()]
    endpoint = f"http://127.0.0.1:{port}"
    with run_server(Server([str(word) for word in command], folder / "log"), lambda: _is_healthy(endpoint)):
        yield {"ANOMFLOW_TEST_BIGQUERY": endpoint}


def _is_healthy(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/bigquery/v2/projects/{PROJECT}/datasets", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _connect() -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    endpoint = {"api_endpoint": os.environ["ANOMFLOW_TEST_BIGQUERY"]}
    return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials(), client_options=endpoint)


def run_raw(warehouse: BigQueryWarehouse, statements: Sequence[str]) -> Rows:
    """Run statements in the dataset of a warehouse, by the client alone; tables are told in the types of other engines."""
    from google.cloud import bigquery

    rows: Rows = []
    with closing(_connect()) as client:
        for statement in statements:
            sql = sqlglot.transpile(statement, read="postgres", write="bigquery")[0] if statement.startswith("create") else statement
            config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{warehouse.dataset}")
            rows = [tuple(row.values()) for row in client.query(sql, job_config=config).result()]
    return rows


def find_jobs(warehouse: BigQueryWarehouse) -> list[str]:
    """Return the statements that were run in the dataset of a warehouse: in small letters, tables by their bare names."""
    statements = [found["query"]["query"].casefold() for found in find_configurations(warehouse)]
    return [statement.replace(f"{PROJECT}.{warehouse.dataset}.", "") for statement in statements]


def find_configurations(warehouse: BigQueryWarehouse) -> list[dict[str, Any]]:
    """Return what was asked of each job in the dataset of a warehouse."""
    address = f"{os.environ['ANOMFLOW_TEST_BIGQUERY']}/bigquery/v2/projects/{PROJECT}/jobs"
    jobs = httpx.get(address, params={"maxResults": 100_000}, timeout=60).json()["jobs"]
    configurations = [job["configuration"] for job in jobs]
    return [found for found in configurations if warehouse.dataset in str(found)]


def build_warehouse(folder: Path, seconds: float = 20.0, **changed: Any) -> BigQueryWarehouse:
    """Make a warehouse in a dataset of its own for each folder."""
    dataset = f"s_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    with closing(_connect()) as client:
        client.create_dataset(dataset, exists_ok=True)
    fields = {
        "project": PROJECT,
        "dataset": dataset,
        "endpoint": os.environ["ANOMFLOW_TEST_BIGQUERY"],
        "lock_timeout_seconds": seconds,
        "lease_seconds": 5.0,
    }
    return BigQueryWarehouse(**{**fields, **changed})


def _find_environment(warehouse: BigQueryWarehouse) -> dict[str, str]:
    names = ("project", "dataset", "endpoint", "lease_seconds")
    return {f"ANOMFLOW_BIGQUERY_{name.upper()}": str(getattr(warehouse, name)) for name in names}


ENGINE = Engine(
    kind="bigquery",
    find_environment=_find_environment,
    build=build_warehouse,
    run_raw=run_raw,
    find_schema=lambda warehouse: warehouse.dataset,
    time_type="timestamptz",
    foreign={
        "zoned": build_foreign("timestamptz", *(f"{day[:-1]}+00'" for day in DAYS)),
        "without metadata": build_foreign("timestamptz", *DAYS, metadata=False),
    },
    cannot={
        "test_columns_that_a_table_lacks_are_added_once_and_empty": "BigQuery adds no column inside a transaction that wrote rows",
        "test_rows_come_back_as_they_were_written": "the emulator tells times as seconds in floating point, too coarse in 2999",
        "test_a_query_with_two_columns_of_one_name_is_refused": "the emulator renames the second; BigQuery refuses the query",
        'test_a_hostile_table_name_is_only_a_name[bigquery-a"b]': NAMES,
        "test_a_hostile_table_name_is_only_a_name[bigquery-it's;--]": NAMES,
        "test_a_hostile_table_name_is_only_a_name[bigquery-weird table]": EMULATED_NAMES,
        "test_a_hostile_table_name_is_only_a_name[bigquery-\\xfc]": EMULATED_NAMES,
    },
)
SERVICE = Service(
    packages=(
        "google-cloud-bigquery==3.47.0",
        "google-api-core==2.44.0",
        "google-auth==2.62.2",
        "google-cloud-core==2.8.0",
        "google-crc32c==1.9.0",
        "google-resumable-media==2.11.0",
        "googleapis-common-protos==1.76.0",
        "proto-plus==1.29.0",
        "protobuf==6.33.6",
        "pyasn1==0.6.5",
        "pyasn1-modules==0.4.2",
    ),
    start=_start,
    # A chain takes 10 s here. Those that stay die before and after the commit of scores, and before that of the alerts.
    leaves_out=tuple(f"{CHAIN}::test_a_kill_before_or_after_a_commit_loses_nothing_and_tells_once[{number}]" for number in (2, 3, 13)),
)
