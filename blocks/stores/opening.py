"""Open a model store in a bucket: by its address, or by a saved filesystem block of Prefect."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import MissingDependencyError, ModelError
from anomflow.setting_types import BUCKET_PATTERN
from blocks.kinds import FILESYSTEMS, SCHEMES
from blocks.saved import load_saved
from blocks.stores.azure import AzureContainer
from blocks.stores.bucket import BucketModelStore
from blocks.stores.gcs import GoogleBucket
from blocks.stores.local import LocalModelStore, check_name
from blocks.stores.s3 import S3Bucket

if TYPE_CHECKING:
    from anomflow.protocols import ModelStore
    from blocks.stores.bucket import Bucket

# Below the folder of a block; an address says itself where.
FOLDER: Final = "models"

_ADDRESS: Final = re.compile(BUCKET_PATTERN)
_BUCKETS: Final[dict[str, type[Bucket]]] = dict(zip(SCHEMES, (S3Bucket, GoogleBucket, AzureContainer), strict=True))


def open_address(ref: str) -> ModelStore | None:
    """Open ``s3://bucket/folder``, ``gs://bucket/folder`` or ``az://container/folder``; None for what is none of them.

    Nothing is asked of the store, and its library is not imported, before it is used.
    """
    if not _ADDRESS.fullmatch(ref):
        return None
    scheme, _, place = ref.partition("://")
    name, _, folder = place.rstrip("/").partition("/")
    return BucketModelStore(_BUCKETS[scheme](name), check_name(folder) if folder else "")


def open_block(slug: str, name: str) -> ModelStore:
    """Open the folder ``models`` of a saved filesystem block of Prefect.

    Raises:
        ModelError: there is no such block.
        MissingDependencyError: its package is not installed.
    """
    return build_store(slug, load_saved(_import_filesystem(slug), name, ModelError))


def build_store(slug: str, block: Any) -> ModelStore:
    """Build the store in the folder ``models`` of a filesystem block."""
    match slug:
        case "s3-bucket":
            return BucketModelStore(S3Bucket(block.bucket_name, block.credentials), _join(block.bucket_folder))
        case "gcs-bucket":
            return BucketModelStore(GoogleBucket(block.bucket, block.gcp_credentials), _join(block.bucket_folder))
        case "azure-blob-storage-container":
            return BucketModelStore(AzureContainer(block.container_name, block.credentials), _join(block.base_folder))
        case _:
            return LocalModelStore(folder=str(Path(block.basepath or ".").expanduser().resolve() / FOLDER))


def _join(folder: str | None) -> str:
    return f"{folder.strip('/')}/{FOLDER}" if folder and folder.strip("/") else FOLDER


def _import_filesystem(slug: str) -> type[Any]:
    module, name, extra = FILESYSTEMS[slug]
    try:
        found: type[Any] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise MissingDependencyError(f"A model store in {slug}", extra) from error
    return found
