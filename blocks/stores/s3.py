"""A bucket of S3, or of a store that speaks as S3 does, through boto3."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from blocks.stores.bucket import Answer, Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class S3Bucket(Bucket):
    """Speak to a bucket with the credentials of a block of prefect-aws, or with those that AWS's own chain finds."""

    scheme: ClassVar[str] = "s3"
    extra: ClassVar[str] = "aws"
    chain: ClassVar[str] = "AWS's chain: AWS_* variables, a profile, the role of the machine or task"

    @cached_property
    def _client(self) -> Any:
        import boto3  # noqa: PLC0415 - the driver loads when it is used
        from botocore.config import Config  # noqa: PLC0415 - as above

        session = boto3.Session() if self.credentials is None else self.credentials.get_boto3_session()
        given = {} if self.credentials is None else _read_parameters(self.credentials)
        patience = Config(
            connect_timeout=self.patience.connect_seconds,
            read_timeout=self.patience.read_seconds,
            retries={"mode": "standard", "total_max_attempts": self.patience.tries},
        )
        config = given.pop("config", Config()).merge(patience)
        return session.client("s3", config=config, **given)

    def create(self, key: str, content: bytes) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as above

        try:
            self._client.put_object(Bucket=self.name, Key=key, Body=content, IfNoneMatch="*")
        except ClientError as error:
            if _find_code(error) in {"PreconditionFailed", "ConditionalRequestConflict"}:  # there is one, or it is being written
                return False
            raise
        return True

    def replace(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self.name, Key=key, Body=content)

    def read(self, key: str) -> bytes | None:
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key)
        except self._client.exceptions.NoSuchKey:
            return None
        with answer["Body"] as body:
            return bytes(body.read())

    def find_keys(self, prefix: str) -> Iterator[str]:
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            yield from (str(found["Key"]) for found in page.get("Contents", ()))

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self.name, Key=key)

    def find_answer(self, error: Exception) -> Answer:
        from botocore import exceptions as of  # noqa: PLC0415 - as above

        if isinstance(error, of.ClientError):
            code = _find_code(error)
            return Answer(error.response["ResponseMetadata"]["HTTPStatusCode"], code, code == "NoSuchBucket")
        name = type(error).__name__
        passing = isinstance(error, of.HTTPClientError | of.ConnectionError | of.IncompleteReadError) and not isinstance(error, of.SSLError)
        return Answer(None, name, is_login_missing=not passing)  # the chain found nothing, or half of it


def _find_code(error: Any) -> str:
    return str(error.response["Error"]["Code"])


def _read_parameters(credentials: Any) -> dict[str, Any]:
    """Return what a block says of the client: endpoint, certificates and so on, as prefect-aws itself takes it."""
    given: Mapping[str, Any] = credentials.aws_client_parameters.get_params_override()
    region = {} if credentials.region_name is None else {"region_name": credentials.region_name}
    return {**given, **region}
