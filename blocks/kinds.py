"""The kinds of blocks by name, read from the sources: `anomflow validate` need not wait for Prefect."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anomflow.batches.references import Kinds

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).parent
# What a block class is known by: its kind; channels, by their slug too.
_KIND_NAMES: Final = ("kind", "_block_type_slug")
# Filesystem blocks of Prefect by slug: module, class, the extra that installs them. Loading through the class takes 0.06 s;
# by slug alone Prefect first imports every installed collection, 7 s.
FILESYSTEMS: Final[dict[str, tuple[str, str, str]]] = {
    "local-file-system": ("prefect.filesystems", "LocalFileSystem", ""),
    "s3-bucket": ("prefect_aws.s3", "S3Bucket", "aws"),
    "gcs-bucket": ("prefect_gcp.cloud_storage", "GcsBucket", "gcp"),
    "azure-blob-storage-container": ("prefect_azure.blob_storage", "AzureBlobStorageContainer", "azure"),
}


def read_kinds() -> Kinds:
    """Read the kinds of warehouses, model stores and channels; nothing is imported for it."""
    stores = {*_read_names("stores", ("kind",)), *FILESYSTEMS}
    return Kinds(set(_read_names("warehouses", ("kind",))), stores, set(_read_names("notifiers", _KIND_NAMES)))


def _read_names(folder: str, attributes: tuple[str, ...]) -> Iterator[str]:
    for path in sorted((_ROOT / folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield from (name for statement in node.body for name in _read_constant(statement, attributes))


def _read_constant(statement: ast.stmt, attributes: tuple[str, ...]) -> Iterator[str]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(value))) if name in attributes and value:
            yield value
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))) if name in attributes and value:
            yield value
