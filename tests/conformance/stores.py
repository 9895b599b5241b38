"""The model stores that the conformance suite runs over: a local folder, or the bucket of a suite of `make test-services`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from anomflow.protocols import ModelStore
from blocks.loading import load_store
from blocks.stores.local import LocalModelStore
from tests.services.buckets import CLOUDS, Buckets

SUITE = os.environ.get("ANOMFLOW_TEST_SUITE", "local")
KIND = SUITE if SUITE in CLOUDS else "local"
FOLDER = "team/models"
# Google's library leaves the connections of answers that it did not read to the collector.
LEAKS = [pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")] if KIND == "gcs" else []


class Place(Protocol):
    """An empty place for models, and what lies there whoever put it."""

    @property
    def store(self) -> ModelStore: ...
    def put(self, name: str, content: bytes) -> None: ...
    def keys(self) -> list[str]: ...


@dataclass(frozen=True)
class LocalPlace:
    """A folder that is not made yet."""

    folder: Path

    @property
    def store(self) -> ModelStore:
        return LocalModelStore(folder=str(self.folder / "models"))

    def put(self, name: str, content: bytes) -> None:
        path = self.folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def keys(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class BucketPlace:
    """A folder of a new bucket."""

    scheme: str
    buckets: Buckets
    bucket: str = field(default_factory=lambda: f"models-{uuid4().hex[:12]}")

    @property
    def address(self) -> str:
        return f"{self.scheme}://{self.bucket}/{FOLDER}"

    @property
    def store(self) -> ModelStore:
        return load_store(self.address, Path("unused"))

    def put(self, name: str, content: bytes) -> None:
        self.buckets.put(self.bucket, f"{FOLDER}/{name}", content)

    def keys(self) -> list[str]:
        return sorted(self.buckets.keys(self.bucket))
