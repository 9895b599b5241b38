"""Which saved block a batch's word for a warehouse, a model store or a channel leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blocks import notifiers, warehouses
from blocks.discovery import find_kinds
from blocks.environment import is_in_environment
from blocks.kinds import FILESYSTEMS
from blocks.loading import EMBEDDED
from blocks.notifiers.loading import is_given, takes_variables

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_needed_block(ref: str, environ: Mapping[str, str]) -> str | None:
    """Return the saved block that a word leads to, as ``kind/name``; None where it needs none.

    ``postgres`` or ``email`` alone is the block ``default`` where no variable of its kind is set.
    """
    ref = ref.strip()
    if "://" in ref or ref in EMBEDDED:
        return None
    if "/" in ref:
        return ref
    if ref in FILESYSTEMS:
        return f"{ref}/default"
    warehouse, channel = find_kinds(warehouses).get(ref), find_kinds(notifiers).get(ref)
    if warehouse is not None:
        return None if is_in_environment(warehouse, ref, environ) else f"{ref}/default"
    if channel is None or not takes_variables(ref, channel) or is_given(ref, environ):
        return None
    return f"{ref}/default"
