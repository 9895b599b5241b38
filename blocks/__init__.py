"""Prefect blocks: connections to warehouses, model stores and channels. Importing this package imports no driver.

``python -m prefect block register -m blocks`` registers them all: the classes are attributes of this package, found in its
modules when somebody asks for them.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.blocks.core import Block


@cache
def find_blocks() -> dict[str, type[Block]]:
    """Return every block class of this package by its name: those with a slug of their own; a base has none."""
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(__path__, f"{__name__}.")]
    classes = [thing for module in modules for thing in vars(module).values() if isinstance(thing, type)]
    own = {cls for cls in classes if cls.__module__.startswith(f"{__name__}.") and vars(cls).get("_block_type_slug")}
    return {cls.__name__: cls for cls in sorted(own, key=lambda cls: cls.__name__)}


def __getattr__(name: str) -> type[Block]:
    """Return a block class."""
    # Prefect and Python ask for names that no class has (__path__, _pytest...): no search for those.
    if name.startswith("_") or name not in (found := find_blocks()):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found[name]


def __dir__() -> list[str]:
    """Return the names of this module and of every block class."""
    return sorted({*globals(), *find_blocks()})
