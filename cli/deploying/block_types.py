"""The types of Anomflow's blocks on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blocks import find_blocks

if TYPE_CHECKING:
    from cli.deploying.api import Api


async def find_missing(api: Api) -> tuple[str, ...]:
    """Return the slugs of our block types that a server does not know as they are now."""
    known = {schema["checksum"] for schema in await api.read_all("/block_schemas/filter", {})}
    return tuple(slug for slug, kind in _find_kinds().items() if kind._calculate_schema_checksum() not in known)  # noqa: SLF001 - as Prefect itself finds whether a schema is registered


def _find_kinds() -> dict[str, Any]:
    return {str(kind.get_block_type_slug()): kind for kind in find_blocks().values()}


async def register(api: Api, slug: str) -> None:
    """Register a block type by its slug, or what has changed of it."""
    async with api.lend() as client:
        await _find_kinds()[slug].aregister_type_and_schema(client=client)
