from __future__ import annotations

from typing import Any

import pytest
from prefect.filesystems import WritableFileSystem
from pydantic import Field

from anomflow.errors import MissingModelError, ModelError
from blocks.stores.filesystem import FilesystemModelStore


class NoSuchKey(Exception):  # noqa: N818 - named as the object stores' own
    pass


class Bucket(WritableFileSystem):
    """A bucket of Prefect's interface alone, asynchronous as that is declared."""

    bucket_name: str = "prod"
    objects: dict[str, bytes] = Field(default_factory=dict)

    async def read_path(self, path: str) -> bytes:
        if path not in self.objects:
            raise NoSuchKey(path)
        return self.objects[path]

    async def write_path(self, path: str, content: bytes) -> None:
        if b"secret" in content:
            raise PermissionError("AccessDenied")
        self.objects[path] = content


class Answer(Exception):  # noqa: N818 - shaped as botocore's ClientError
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response: dict[str, Any] = {"Error": {"Code": code}}


class Refusing(Bucket):
    """A bucket that answers every reading with an error code."""

    code: str

    async def read_path(self, path: str) -> bytes:
        raise Answer(self.code or path)


def test_any_filesystem_block_stores_objects_below_its_folder() -> None:
    bucket = Bucket()
    store = FilesystemModelStore(bucket, "team/models")
    store.write("a", b"x")
    assert bucket.objects == {"team/models/a": b"x"}
    assert store.read("a") == b"x"
    assert store.location == "bucket:prod/team/models"


def test_a_missing_object_and_a_refused_write_are_told_apart() -> None:
    store = FilesystemModelStore(Bucket())
    with pytest.raises(MissingModelError, match="bucket:prod/models has no model object a"):
        store.read("a")
    with pytest.raises(ModelError, match="a was not stored: AccessDenied"):
        store.write("a", b"secret")


@pytest.mark.parametrize(("code", "error"), [("NoSuchKey", MissingModelError), ("404", MissingModelError), ("403", ModelError)])
def test_the_code_of_an_answer_tells_whether_the_object_is_missing(code: str, error: type[Exception]) -> None:
    with pytest.raises(ModelError) as caught:
        FilesystemModelStore(Refusing(code=code)).read("a")
    assert type(caught.value) is error


def test_what_prefects_interface_lacks_is_a_clear_error() -> None:
    store = FilesystemModelStore(Bucket())
    with pytest.raises(ModelError, match="objects of a Bucket cannot be listed"):
        store.names()
    with pytest.raises(ModelError, match="objects of a Bucket cannot be deleted"):
        store.delete("a")
