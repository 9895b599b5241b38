"""Model objects in a bucket of a cloud: one behaviour over the libraries of all clouds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from anomflow.errors import MissingDependencyError, MissingModelError, ModelError, StoreError, StoreUnavailableError
from blocks.stores.local import check_name, is_name

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """How long a call waits: seconds for a connection and without a byte, and how often it is tried in all."""

    connect_seconds: float = 5.0
    read_seconds: float = 15.0
    tries: int = 3


PATIENCE: Final = Patience()


@dataclass(frozen=True)
class Answer:
    """Why a call failed: the HTTP status (None: nothing answered) and the cloud's own word for it, which holds no secret."""

    status: int | None
    code: str
    is_bucket_missing: bool = False
    is_login_missing: bool = False

    @property
    def is_passing(self) -> bool:
        """Tell whether the same call may succeed later."""
        return not self.is_login_missing and (self.status is None or self.status in _PASSING)


class Bucket(ABC):
    """A bucket as a cloud's library gives it; what its methods raise is told by ``find_answer``.

    ``credentials`` are a block of Prefect's collection for the cloud; without one they are what the cloud's own chain finds.
    """

    scheme: ClassVar[str]
    extra: ClassVar[str]  # that installs the library
    chain: ClassVar[str]  # where credentials come from, in words

    def __init__(self, name: str, credentials: Any = None, patience: Patience = PATIENCE) -> None:
        self.name = name
        self.credentials = credentials
        self.patience = patience

    @property
    def place(self) -> str:
        """Name the bucket as an address (``s3://models``)."""
        return f"{self.scheme}://{self.name}"

    @property
    def login(self) -> str:
        """Say in words where the credentials come from."""
        return self.chain if self.credentials is None else "the block"

    @abstractmethod
    def create(self, key: str, content: bytes) -> bool:
        """Store an object unless there is one of this name; tell whether it did."""

    @abstractmethod
    def replace(self, key: str, content: bytes) -> None:
        """Store an object whether or not there is one."""

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Return an object's bytes; None where there is none."""

    @abstractmethod
    def find_keys(self, prefix: str) -> Iterable[str]:
        """List the names of all objects that begin with a prefix."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    @abstractmethod
    def find_answer(self, error: Exception) -> Answer:
        """Tell what an error of the library means."""


@dataclass(frozen=True)
class BucketModelStore:
    """Keep model objects in a folder of a bucket (empty: at its top).

    An object that is there is left alone, unless its bytes are others than those that are to be kept: a spoilt one is mended.
    So writers at once need no lock, and no version of an object is made for nothing.
    """

    bucket: Bucket
    folder: str = ""

    @property
    def location(self) -> str:
        """Name the bucket and the folder."""
        return f"{self.bucket.place}/{self.folder}".rstrip("/")

    def write(self, name: str, content: bytes) -> None:
        """Store an object whole or not at all."""
        key = self._find_key(name)
        with self._explaining(f"model object {name} was not stored"):
            if not self.bucket.create(key, content) and self.bucket.read(key) != content:
                self.bucket.replace(key, content)

    def read(self, name: str) -> bytes:
        """Return an object's bytes; raise MissingModelError where there is none."""
        with self._explaining(f"model object {name} cannot be read"):
            content = self.bucket.read(self._find_key(name))
        if content is None:
            raise MissingModelError(f"{self.location} has no model object {name}")
        return content

    def names(self, folder: str = "") -> list[str]:
        """List the names of all objects, or of those in a folder, sorted."""
        prefix = f"{self.folder}/" if self.folder else ""
        wanted = f"{check_name(folder)}/" if folder else ""
        with self._explaining("model objects cannot be listed"):
            found = [key.removeprefix(prefix) for key in self.bucket.find_keys(prefix + wanted)]
        return sorted(name for name in found if is_name(name))

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""
        key = self._find_key(name)
        with self._explaining(f"model object {name} cannot be deleted"):
            self.bucket.delete(key)

    def _find_key(self, name: str) -> str:
        return f"{self.folder}/{check_name(name)}" if self.folder else check_name(name)

    @contextmanager
    def _explaining(self, failed: str) -> Iterator[None]:
        try:
            yield
        except (ModelError, MissingDependencyError):
            raise
        except ImportError as error:
            raise MissingDependencyError(f"A model store in {self.bucket.place}", self.bucket.extra) from error
        except Exception as error:  # noqa: BLE001 - the libraries have no root in common
            # Not chained: their words may quote what was signed, and addresses with tokens.
            raise _build_error(self, failed, self.bucket.find_answer(error)) from None


def _build_error(store: BucketModelStore, failed: str, answer: Answer) -> StoreError:
    words = f"{store.location}: {failed}: "
    said = answer.code if answer.status is None else f"{answer.status} {answer.code}"
    if answer.is_login_missing:
        return StoreError(f"{words}there are no usable credentials ({said}); they are taken from {store.bucket.login}")
    if answer.is_bucket_missing:
        return StoreError(f"{words}there is no {store.bucket.place} ({said}); make it, or name another in model_path")
    if answer.is_passing:
        return StoreUnavailableError(f"{words}the store did not answer as it should ({said}); it is tried again")
    if answer.status in {401, 403}:
        advice = f"see whether the credentials ({store.bucket.login}) are right and may do this (docs/stores.md: rights to grant)"
        return StoreError(f"{words}refused ({said}); {advice}")
    return StoreError(f"{words}the store answered {said}")
