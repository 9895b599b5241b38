"""A bucket of Google Cloud Storage, through google-cloud-storage."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from blocks.stores.bucket import Answer, Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator


class GoogleBucket(Bucket):
    """Speak to a bucket with the credentials of a block of prefect-gcp, or with the application default credentials."""

    scheme: ClassVar[str] = "gs"
    extra: ClassVar[str] = "gcp"
    chain: ClassVar[str] = "Google's chain: GOOGLE_APPLICATION_CREDENTIALS, gcloud's default login, the service account of the machine"

    @cached_property
    def _bucket(self) -> Any:
        from google.cloud import storage  # noqa: PLC0415 - the driver loads when it is used

        if self.credentials is not None:
            return self.credentials.get_cloud_storage_client().bucket(self.name)
        # Objects are asked for by their bucket alone; without any project the client would refuse some credentials.
        return storage.Client(project="anomflow").bucket(self.name)

    @cached_property
    def _limits(self) -> dict[str, Any]:
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415 - as above

        connect, read = self.patience.connect_seconds, self.patience.read_seconds
        # After the last of these seconds no try begins.
        return {"timeout": (connect, read), "retry": DEFAULT_RETRY.with_timeout(read * (self.patience.tries - 1))}

    def create(self, key: str, content: bytes) -> bool:
        from google.api_core.exceptions import PreconditionFailed  # noqa: PLC0415 - as above

        try:
            self._bucket.blob(key).upload_from_string(content, "application/octet-stream", if_generation_match=0, **self._limits)
        except PreconditionFailed:
            return False
        return True

    def replace(self, key: str, content: bytes) -> None:
        self._bucket.blob(key).upload_from_string(content, "application/octet-stream", **self._limits)

    def read(self, key: str) -> bytes | None:
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - as above

        try:
            return bytes(self._bucket.blob(key).download_as_bytes(**self._limits))
        except NotFound as error:
            if _is_bucket_missing(error):
                raise
            return None

    def find_keys(self, prefix: str) -> Iterator[str]:
        for blob in self._bucket.list_blobs(prefix=prefix, fields="items(name),nextPageToken", **self._limits):
            yield str(blob.name)

    def delete(self, key: str) -> None:
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - as above

        try:
            self._bucket.blob(key).delete(**self._limits)
        except NotFound as error:
            if _is_bucket_missing(error):
                raise

    def find_answer(self, error: Exception) -> Answer:
        from google.api_core import exceptions as of  # noqa: PLC0415 - as above
        from google.auth import exceptions as login  # noqa: PLC0415 - as above
        from google.cloud.storage.exceptions import InvalidResponse  # noqa: PLC0415 - as above
        from requests.exceptions import RequestException, SSLError  # noqa: PLC0415 - as above

        if isinstance(error, of.RetryError) and isinstance(error.cause, Exception):
            return self.find_answer(error.cause)
        name = type(error).__name__
        if isinstance(error, of.GoogleAPICallError):
            # A bucket's 404 is the only one that is raised by all but reading.
            return Answer(int(error.code or 0), name, is_bucket_missing=isinstance(error, of.NotFound))
        if isinstance(error, InvalidResponse):  # what is left of a transfer that went on failing
            return Answer(int(error.response.status_code), name)
        passing = isinstance(error, RequestException | ConnectionError | login.TransportError) and not isinstance(error, SSLError)
        return Answer(None, name, is_login_missing=not passing and not getattr(error, "retryable", False))


def _is_bucket_missing(error: Any) -> bool:
    return "bucket does not exist" in str(error)
