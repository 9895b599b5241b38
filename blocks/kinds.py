"""The kinds of blocks by name, read from the sources: `anomflow validate` need not wait for Prefect."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anomflow.batches.references import Kinds

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).parent
# Filesystem blocks of Prefect by slug: module, class, the extra that installs them. Loading through the class takes 0.06 s;
# by slug alone Prefect first imports every installed collection, 7 s.
FILESYSTEMS: Final[dict[str, tuple[str, str, str]]] = {
    "local-file-system": ("prefect.filesystems", "LocalFileSystem", ""),
    "s3-bucket": ("prefect_aws.s3", "S3Bucket", "aws"),
    "gcs-bucket": ("prefect_gcp.cloud_storage", "GcsBucket", "gcp"),
    "azure-blob-storage-container": ("prefect_azure.blob_storage", "AzureBlobStorageContainer", "azure"),
}

SCHEMES: Final = ("s3", "gs", "az")  # of the addresses of buckets: S3, Google Cloud Storage, Azure Blob Storage


def read_kinds() -> Kinds:
    """Read the kinds of warehouses, model stores and channels; nothing is imported for it."""
    stores = {*_read_names("stores"), *FILESYSTEMS, *SCHEMES}
    return Kinds(set(_read_names("warehouses")), stores, set(_read_names("notifiers")))


def _read_names(folder: str) -> Iterator[str]:
    for path in sorted((_ROOT / folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield from (name for statement in node.body for name in _read_kind(statement))


def _read_kind(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id="kind"), value=ast.Constant(value=str(value))) if value:
            yield value
