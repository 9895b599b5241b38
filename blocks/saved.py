"""Blocks that a Prefect API holds: loaded, compared with what a file says, saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectException
from pydantic import ValidationError

from anomflow.errors import AnomflowError, BlockError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.schemas.objects import BlockDocument

Action = Literal["created", "updated", "unchanged"]
_OWN_KEYS: Final = ("block_type_slug", "_block_document_id", "_block_document_name", "_is_anonymous")
_PAGE: Final = 200


@dataclass(frozen=True)
class Change:
    """What saving a block does: the fields are those whose values differ, by name only."""

    ref: str
    action: Action
    fields: tuple[str, ...] = ()


def load_saved(cls: type[Block], name: str, build_error: Callable[[str], AnomflowError] = BlockError) -> Any:
    """Load a block through its class: by its slug alone, Prefect would import every collection first.

    Raises what ``build_error`` makes of the words where there is none, where it does not fit its class, and where the API does not answer.
    """
    slug = cls.get_block_type_slug()
    try:
        with _explaining(build_error):
            return cls.load(name)
    except (ValidationError, RuntimeError) as error:  # the latter is what Prefect makes of the former
        raise build_error(f"block {slug}/{name} does not fit its type: {_describe_misfit(error)}; save it again") from None
    except ValueError as error:  # what Prefect raises for a block that is not there
        raise build_error(f"there is no block {slug}/{name} at this Prefect API; make it or name another") from error


def _describe_misfit(error: Exception) -> str:
    """Name the fields that do not fit, without what they hold, which may be secrets."""
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if not isinstance(cause, ValidationError):
        return type(error).__name__
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in cause.errors(include_input=False))


def save_block(ref: str, block: Block, *, dry_run: bool = False) -> Change:
    """Save a block under the name of its reference, unless what is saved says the same; raises BlockError."""
    name = ref.partition("/")[2]
    with _explaining():
        document = _find_document(block, name)
        change = _compare(ref, block, document)
        if change.action == "unchanged" or dry_run:
            # What refers to this block is compared by its id.
            block._block_document_id = document.id if document else None  # noqa: SLF001 - as Prefect sets it after saving
        else:
            block.save(name, overwrite=True)
    return change


def read_saved() -> list[tuple[str, str]]:
    """List the saved blocks as their types' slugs and names, sorted; raises BlockError."""
    with _explaining(), get_client(sync_client=True) as client:
        found: list[tuple[str, str]] = []
        while True:
            page = client.read_block_documents(offset=len(found), limit=_PAGE, include_secrets=False)
            found += [(document.block_type.slug if document.block_type else "", document.name or "") for document in page]
            if len(page) < _PAGE:
                return sorted(pair for pair in found if pair[1])


@contextmanager
def _explaining(build_error: Callable[[str], AnomflowError] = BlockError) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        # Not chained: a request that was refused holds the values.
        raise build_error(f"the Prefect API did not answer as it should ({_describe(error)}); see `anomflow doctor`") from None


def _describe(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} for {error.request.method} {error.request.url.path}"
    return type(error).__name__


def is_saved(cls: type[Block], name: str) -> bool:
    """Tell whether a block of a class is saved under a name; raises BlockError where the API does not answer."""
    with _explaining():
        return _find_document(cls, name) is not None


def _find_document(block: Block | type[Block], name: str) -> BlockDocument | None:
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_document_by_name(name, block.get_block_type_slug(), include_secrets=True)
        except ObjectNotFound:
            return None


def _compare(ref: str, block: Block, document: BlockDocument | None) -> Change:
    new = _dump(block)
    if document is None:
        return Change(ref, "created", tuple(sorted(name for name, value in new.items() if value is not None)))
    references: Mapping[str, Any] = document.block_document_references
    old = {**document.data, **{name: _read_id(reference) for name, reference in references.items()}}
    differing = {name for name in {*new, *old} if new.get(name) != old.get(name)}
    return Change(ref, "updated" if differing else "unchanged", tuple(sorted(differing)))


def _read_id(reference: Mapping[str, Any]) -> dict[str, str]:
    return {"saved block": str(reference.get("block_document", {}).get("id"))}


def _dump(block: Block) -> dict[str, Any]:
    """Return the values of a block as the API holds them, secrets revealed, and the ids of the blocks that it refers to."""
    dumped = block.model_dump(mode="json", by_alias=True, context={"include_secrets": True})
    values = {name: value for name, value in dumped.items() if name not in _OWN_KEYS}
    nested = {name: getattr(block, name, None) for name in type(block).model_fields}
    ids = {name: {"saved block": str(value._block_document_id)} for name, value in nested.items() if isinstance(value, Block)}  # noqa: SLF001 - as above
    return {**values, **ids}
