"""Kernels that are compiled once and then read, also from folders that a run may not write to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from numba import njit
from numba.core import config
from numba.core.caching import InTreeCacheLocator

# The checkout of an image, whose kernels serve the same files in a clone of the repository.
KERNELS_VARIABLE: Final = "ANOMFLOW_KERNELS"
_ROOT: Final = Path(__file__).parents[2]
_CONFIG: Final[Any] = config


class CompiledCacheLocator(InTreeCacheLocator):
    """The folder that holds kernels of a file, writable or not: beside the file, else beside the same file of the image."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        super().__init__(py_func, py_file)  # type: ignore[no-untyped-call] # numba has no types
        self._cache_path: Any = next((str(folder) for folder in _find_folders(Path(py_file))), None)

    def ensure_cache_path(self) -> None:
        """Raise FileNotFoundError where there are no kernels of the file; numba then looks elsewhere."""
        if self._cache_path is None:
            raise FileNotFoundError(self._py_file)


def _find_folders(file: Path) -> Iterator[Path]:
    own = file.absolute()
    image = os.environ.get(KERNELS_VARIABLE)
    twins = [Path(image) / own.relative_to(_ROOT)] if image and own.is_relative_to(_ROOT) else []
    for twin in (own, *twins):
        folder = twin.parent / "__pycache__"
        is_same = twin == own or (twin.is_file() and twin.read_bytes() == own.read_bytes())
        if is_same and any(folder.glob(f"{file.stem}.*.nbi")):
            yield folder


# Left to itself, numba cannot define a function that is to be cached where it finds no folder to write to, and compiles it
# for each user who may not write to the checkout.
_LOCATORS: Final = (
    "UserProvidedCacheLocator",
    f"{__name__}.{CompiledCacheLocator.__name__}",
    "InTreeCacheLocator",
    "UserWideCacheLocator",
)


def build_kernel(function: Callable[..., None]) -> Any:
    """Return the function as a kernel that is compiled when it is called first, and kept where that is possible."""
    given = _CONFIG.CACHE_LOCATOR_CLASSES
    _CONFIG.CACHE_LOCATOR_CLASSES = given or ",".join(_LOCATORS)
    try:
        kernel = njit(function, cache=True, nogil=True)
    finally:
        _CONFIG.CACHE_LOCATOR_CLASSES = given
    cache = kernel._cache  # noqa: SLF001 - numba has no other place for it
    save = cache.save_overload

    def save_if_possible(*arguments: Any) -> None:
        with suppress(OSError):  # what was compiled works also where it cannot be kept
            save(*arguments)

    cache.save_overload = save_if_possible
    return kernel
