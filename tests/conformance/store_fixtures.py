"""Fixtures over `stores.py`: the server of a suite is started once a module."""

from __future__ import annotations

import gc
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from tests.conformance.stores import KIND, BucketPlace, LocalPlace, Place
from tests.services.buckets import CLOUDS, Buckets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets | None]:
    """The buckets of the cloud of this suite, which the environment leads to; None for a local folder."""
    cloud = CLOUDS.get(KIND)
    with pytest.MonkeyPatch.context() as patch, cloud.start(tmp_path_factory.mktemp(KIND)) if cloud else nullcontext("") as url:
        for name, value in cloud.find_environment(url).items() if cloud else ():
            patch.setenv(name, value)
        yield cloud.connect() if cloud else None


@pytest.fixture
def place(buckets: Buckets | None, tmp_path: Path) -> Iterator[Place]:
    if buckets is None:
        yield LocalPlace(tmp_path)
        return
    made = BucketPlace(CLOUDS[KIND].scheme, buckets)
    buckets.make(made.bucket)
    yield made
    if KIND == "gcs":  # its library leaves the connections of answers that it did not read to the collector
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
