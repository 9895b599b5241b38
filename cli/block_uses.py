"""The blocks that are saved and those that batches name, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from anomflow.batches.suggestions import suggest
from anomflow.block_files import NAME
from anomflow.doctor import Runner, find_connections
from anomflow.errors import BlockError
from blocks.catalog import find_class, find_own, name_kind
from blocks.environment import find_prefix
from blocks.kinds import FILESYSTEMS
from blocks.saved import load_saved, read_saved
from cli.needed_blocks import find_needed_block
from cli.reading import load_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anomflow.doctor import Check
    from cli.output import Output

SECONDS: Final = 60.0


@dataclass(frozen=True)
class Use:
    """A block as batches name it: what for, whether it is saved (or needs not be), which batches use it."""

    ref: str
    role: str | None
    state: str
    batches: tuple[str, ...]


def find_uses(output: Output) -> list[Use]:
    """List saved blocks and those that batches name, by reference; raises BlockError where the API does not answer."""
    saved = {f"{_name_slug(slug)}/{name}" for slug, name in read_saved()}
    used = _find_used(output)
    return [_describe(ref, saved, used) for ref in sorted({*saved, *used})]


def _name_slug(slug: str) -> str:
    """Return our kind of a slug; of another type its slug, so that no collection of Prefect is imported."""
    own = find_own().get(slug)
    return name_kind(own) if own else slug


def _find_used(output: Output) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the role and the batches by each block that batches lead to, and by each reference that needs none."""
    loaded, _ = load_named(output, [])
    used: dict[str, tuple[str, tuple[str, ...]]] = {}
    for found in find_connections(loaded.enabled.values()):
        ref = find_needed_block(found.ref, output.environ) or found.ref
        role, batches = used.get(ref, (found.role, ()))
        used[ref] = (role, tuple(dict.fromkeys((*batches, *found.batches))))
    return used


def _describe(ref: str, saved: set[str], used: dict[str, tuple[str, tuple[str, ...]]]) -> Use:
    role, batches = used.get(ref, (None, ()))
    state = "saved" if ref in saved else "missing" if _is_block(ref) else "no block needed"
    return Use(ref, role, state, batches)


def _is_block(ref: str) -> bool:
    return "/" in ref and "://" not in ref  # an address needs none


def check_blocks(output: Output, names: Sequence[str]) -> Iterator[Check]:
    """Load blocks by reference: the named ones, else all that batches name and all of our own kinds that are saved."""
    used = _find_used(output)
    own = [f"{_name_slug(slug)}/{name}" for slug, name in read_saved() if slug in find_own()]
    known = sorted({*own, *filter(_is_block, used)})
    for name in names:
        kind, _, block_name = name.partition("/")
        if not kind or not NAME.fullmatch(block_name):
            raise typer.BadParameter(f"{name!r} is no kind/name of a block.{suggest(name, known, 0.6)}", param_hint="BLOCK")
    for ref in names or known:
        yield Runner(ref, SECONDS, used.get(ref, ("", ()))[1], output.environ).run("load", lambda ref=ref: _load(ref))  # type: ignore[misc]


def _load(ref: str) -> str:
    kind, _, name = ref.partition("/")
    try:
        block = load_saved(find_class(kind), name)
    except BlockError as error:
        variables = f", or {find_prefix(kind)}... in the environment" if name == "default" and kind not in FILESYSTEMS else ""
        raise BlockError(f"{error} (anomflow blocks apply{variables})") from error
    return f"complete: {type(block).__name__}"
