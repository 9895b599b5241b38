"""Find the implementations of a kind of block: one module each, no list to keep."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

from prefect.blocks.core import Block

if TYPE_CHECKING:
    from types import ModuleType


def find_kinds(package: ModuleType) -> dict[str, type[Any]]:
    """Return the block classes of a package's modules by their ``kind``, sorted; importing them imports no driver."""
    modules = [importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)]
    classes = [
        member for module in modules for _, member in inspect.getmembers(module, inspect.isclass) if member.__module__ == module.__name__
    ]
    kinds = {str(getattr(member, "kind", "")): member for member in classes if issubclass(member, Block)}
    return {kind: kinds[kind] for kind in sorted(kinds) if kind}
