"""Kernels that are compiled once and then read, also from a folder that a run may not write to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from numba import njit
from numba.core import config
from numba.core.caching import InTreeCacheLocator

COMPILED: Final = "CompiledCacheLocator"


class CompiledCacheLocator(InTreeCacheLocator):
    """The cache beside a kernel's file, taken where it holds kernels of that file, writable or not."""

    def ensure_cache_path(self) -> None:
        """Raise FileNotFoundError where there is no kernel of the file; numba then looks elsewhere."""
        if next(Path(self.get_cache_path()).glob(f"{Path(self._py_file).stem}.*.nbi"), None) is None:
            raise FileNotFoundError(self.get_cache_path())


# Numba refuses to cache a function, and so to define it, where it finds no folder that it can write to. A compiled kernel
# that can only be read comes before a folder of the user, in which it would have to be compiled again.
_LOCATORS: Final = (
    "UserProvidedCacheLocator",
    "InTreeCacheLocator",
    f"{__name__}.{COMPILED}",
    "UserWideCacheLocator",
)


def build_kernel(function: Callable[..., None]) -> Any:
    """Return the function as a kernel that is compiled when it is called first, and kept beside its file."""
    given = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = given or ",".join(_LOCATORS)
    try:
        return njit(function, cache=True, nogil=True)
    finally:
        config.CACHE_LOCATOR_CLASSES = given
