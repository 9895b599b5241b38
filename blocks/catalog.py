"""The classes of blocks by the kinds that files and batches name: our own, and Prefect's by their slugs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from prefect.blocks.core import Block, UnknownBlockType
from prefect.utilities.dispatch import get_registry_for_type, lookup_type

import blocks
from anomflow.batches.suggestions import suggest
from anomflow.errors import BlockError, MissingDependencyError
from blocks.kinds import FILESYSTEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Credentials that the filesystems and warehouses of Prefect's collections refer to: module, class, the extra that installs them.
CREDENTIALS: Final[dict[str, tuple[str, str, str]]] = {
    "aws-credentials": ("prefect_aws.credentials", "AwsCredentials", "aws"),
    "minio-credentials": ("prefect_aws.credentials", "MinIOCredentials", "aws"),
    "gcp-credentials": ("prefect_gcp.credentials", "GcpCredentials", "gcp"),
    "snowflake-credentials": ("prefect_snowflake.credentials", "SnowflakeCredentials", "snowflake"),
    "azure-blob-storage-credentials": ("prefect_azure.credentials", "AzureBlobStorageCredentials", "azure"),
}
_BUILT_IN: Final = ("prefect.blocks.notifications", "prefect.blocks.system", "prefect.blocks.webhook", "prefect.filesystems")


def find_own() -> dict[str, type[Block]]:
    """Return our own classes by kind, and by slug where that is another word."""
    classes = blocks.find_blocks().values()
    by_slug = {cls.get_block_type_slug(): cls for cls in classes}
    return by_slug | {kind: cls for cls in classes if (kind := str(getattr(cls, "kind", "")))}


def name_kind(cls: type[Block]) -> str:
    """Return what files and batches call a class: our kind, else the slug."""
    return str(getattr(cls, "kind", "")) or cls.get_block_type_slug()


def find_class(kind: str) -> type[Block]:
    """Return the class of a kind; a collection of Prefect is imported only where nothing nearer has the slug.

    Raises:
        BlockError: nobody has such a kind.
        MissingDependencyError: its package is not installed.
    """
    found = find_own().get(kind)
    if found is not None:
        return found
    if kind in (known := _listed()):
        return _import_listed(kind, *known[kind])
    for module in _BUILT_IN:
        importlib.import_module(module)
    try:
        return lookup_type(Block, kind)
    except KeyError:
        return _search_collections(kind)


def _listed() -> Mapping[str, tuple[str, str, str]]:
    return {**FILESYSTEMS, **CREDENTIALS}


def _import_listed(kind: str, module: str, name: str, extra: str) -> type[Block]:
    try:
        cls: type[Block] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise MissingDependencyError(f"A block of kind {kind}", extra) from error
    return cls


def _search_collections(kind: str) -> type[Block]:
    try:
        return Block.get_block_class_from_key(kind)
    except UnknownBlockType:
        known = sorted({*find_own(), *_listed(), *(get_registry_for_type(Block) or {})})
        own = sorted({name_kind(cls) for cls in find_own().values()})
        raise BlockError(
            f"{kind!r} is no kind of block here.{suggest(kind, known, 0.6)} Kinds: {', '.join(own)},"
            " and the slugs of Prefect's blocks whose package is installed"
        ) from None
