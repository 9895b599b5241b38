"""Load what a batch names: ``duckdb``, ``sqlite``, ``local``, or ``kind/block-name`` for a saved Prefect block."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, cast

from anomflow.errors import ModelError, WarehouseError
from blocks import stores, warehouses
from blocks.discovery import find_kinds
from blocks.environment import is_in_environment, load_from_environment
from blocks.kinds import FILESYSTEMS, SCHEMES
from blocks.pairing import PairedWarehouse, find_place
from blocks.saved import load_saved
from blocks.stores.opening import open_address, open_block

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anomflow.protocols import ModelStore, Warehouse
    from anomflow.sections.common import CommonSpec

# Kinds that need no block: the class with its defaults, and the environment variable that gives the path of its file or folder.
EMBEDDED: Final[Mapping[str, str]] = {
    "duckdb": "ANOMFLOW_DUCKDB_PATH",
    "sqlite": "ANOMFLOW_SQLITE_PATH",
    "local": "ANOMFLOW_MODELS_PATH",
}

LOCAL_FOLDER: Final = "local://"  # before the path of a folder of models


def load_warehouse(ref: str, home: Path, key: str = "db") -> Warehouse:
    """Load a warehouse by name; ``key`` is the setting that has it, for errors.

    ``duckdb`` and ``sqlite`` are files of ``home``, or where ``ANOMFLOW_DUCKDB_PATH`` and ``ANOMFLOW_SQLITE_PATH`` say.
    ``kind/block-name`` is a saved block of that kind; another kind alone is what the variables ``ANOMFLOW_<KIND>_<FIELD>``
    say, and where there is none of them, its block ``default``.

    Raises:
        WarehouseError: there is no such kind or block.
        SettingsError: a variable is missing or wrong.
    """
    kind, name = _split(ref)
    kinds = find_kinds(warehouses)
    if kind not in kinds:
        raise WarehouseError(f"{key}: {ref!r} is no warehouse; known kinds: {', '.join(kinds)} (kind or kind/block-name)")
    if name is None and kind in EMBEDDED:
        return cast("Warehouse", _build_embedded(kinds[kind], "path", home))
    if name is None and is_in_environment(kinds[kind], kind, os.environ):
        return cast("Warehouse", load_from_environment(kinds[kind], kind, os.environ))
    return cast("Warehouse", load_saved(kinds[kind], name or "default", WarehouseError))


def load_batch_warehouse(common: CommonSpec, home: Path) -> Warehouse:
    """Load the warehouse of a batch: ``db``, and with it ``ledger_db`` where that is another one.

    Raises:
        WarehouseError: there is no such kind or block, or both lead to one database by two names.
        SettingsError: a variable is missing or wrong.
    """
    rows = load_warehouse(common.db, home)
    if not common.has_ledger_apart:
        return rows
    ledger = load_warehouse(str(common.ledger_db), home, "ledger_db")
    if find_place(ledger) == find_place(rows):
        raise WarehouseError(
            f"ledger_db: {common.ledger_db!r} leads to {ledger.location}, and db ({common.db!r}) too; "
            "leave ledger_db out, or name another database"
        )
    return PairedWarehouse(rows, ledger)


def load_store(ref: str, home: Path) -> ModelStore:
    """Load a model store by name.

    ``local`` is the folder ``models`` of ``home``, or where ``ANOMFLOW_MODELS_PATH`` says; ``local://PATH`` the folder PATH;
    ``local/block-name`` a saved block. ``s3://bucket/folder``, ``gs://bucket/folder`` and ``az://container/folder`` are
    reached with what the cloud's own chain of credentials finds.
    The slug of a filesystem block of Prefect stores in the folder ``models`` of it: ``s3-bucket/block-name``.

    Raises:
        ModelError: there is no such kind or block.
        MissingDependencyError: the filesystem block's package is not installed.
    """
    bucket = open_address(ref.strip())
    if bucket is not None:
        return bucket
    kind, name = _split(ref)
    kinds = find_kinds(stores)
    folder = ref.strip().removeprefix(LOCAL_FOLDER)
    if folder not in ("", ref.strip()):
        return cast("ModelStore", kinds["local"](folder=folder))
    if name is None and kind in EMBEDDED and kind in kinds:
        return cast("ModelStore", _build_embedded(kinds[kind], "folder", home))
    if kind in kinds:
        return cast("ModelStore", load_saved(kinds[kind], name or "default", ModelError))
    if kind in FILESYSTEMS:
        return open_block(kind, name or "default")
    known = ", ".join([*kinds, *FILESYSTEMS])
    addresses = ", ".join(f"{scheme}://BUCKET/FOLDER" for scheme in SCHEMES)
    raise ModelError(f"model_path: {ref!r} is no model store; known kinds: {known} (kind or kind/block-name); addresses: {addresses}")


def _split(ref: str) -> tuple[str, str | None]:
    kind, slash, name = ref.strip().partition("/")
    return kind, (name if slash else None)


def _build_embedded(implementation: type[Any], field: str, home: Path) -> Any:
    path = os.environ.get(EMBEDDED[implementation.kind])
    return implementation(**{field: path}) if path else implementation().at_home(home)
