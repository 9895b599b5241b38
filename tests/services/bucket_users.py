"""Who asks a bucket: with a saved block, with wrong credentials, with none."""

from __future__ import annotations

import base64
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from http_receiver import run_http
from slack_receiver import Reply

from blocks.loading import load_store
from blocks.stores.bucket import BucketModelStore, Patience
from blocks.stores.gcs import GoogleBucket
from tests.conformance.stores import KIND
from tests.services.buckets import ACCOUNT, CLOUDS, KEY, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

# What nobody may read in an error: credentials that are wrong.
NOBODY = ("AKIANOBODY", "a-wrong-secret", base64.b64encode(b"a wrong key of an account of Azure").decode())


def be_quick(store: Any, seconds: float = 0.5) -> BucketModelStore:
    """Return a store with less patience."""
    patience = Patience(connect_seconds=seconds, read_seconds=seconds, tries=2)
    return BucketModelStore(type(store.bucket)(store.bucket.name, store.bucket.credentials, patience), store.folder)


def read_address() -> str:
    """Return the address of the server, as the environment has it."""
    variable = {"s3": "AWS_ENDPOINT_URL_S3", "gcs": "STORAGE_EMULATOR_HOST", "azure": "AZURE_STORAGE_SERVICE_ENDPOINT"}[KIND]
    return os.environ[variable].removesuffix(f"/{ACCOUNT}")


def build_service_account(token_uri: str) -> dict[str, str]:
    """Make a service account of Google that nobody knows."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "shop",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "anomflow@shop.iam.example.com",
        "token_uri": token_uri,
    }


@contextmanager
def build_block(bucket: str, folder: str) -> Iterator[Any]:
    """Make the block of Prefect for a folder of a bucket, with credentials of its own."""
    if KIND == "s3":
        from prefect_aws import AwsCredentials, S3Bucket

        parameters = {"endpoint_url": read_address()}
        login = {"aws_access_key_id": "AKIABLOCK", "aws_secret_access_key": SECRET, "region_name": "eu-west-1"}
        yield S3Bucket(bucket_name=bucket, bucket_folder=folder, credentials=AwsCredentials(**login, aws_client_parameters=parameters))
    elif KIND == "gcs":
        from prefect_gcp import GcpCredentials
        from prefect_gcp.cloud_storage import GcsBucket

        with run_http(Reply(200, {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})) as tokens:
            known = GcpCredentials(service_account_info=build_service_account(tokens.url))
            yield GcsBucket(bucket=bucket, bucket_folder=folder, gcp_credentials=known)
    else:
        from prefect_azure import AzureBlobStorageCredentials
        from prefect_azure.blob_storage import AzureBlobStorageContainer

        text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={read_address()}/{ACCOUNT};"
        by_key = AzureBlobStorageCredentials(connection_string=text)
        yield AzureBlobStorageContainer(container_name=bucket, base_folder=folder, credentials=by_key)


@contextmanager
def log_in_wrongly(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a store whose credentials the cloud does not take."""
    address = f"{CLOUDS[KIND].scheme}://{bucket}/models"
    if KIND == "gcs":
        from prefect_gcp import GcpCredentials

        with run_http(Reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT: a-wrong-secret"})) as tokens:
            credentials = GcpCredentials(service_account_info=build_service_account(tokens.url))
            yield BucketModelStore(GoogleBucket(bucket, credentials), "models")
        return
    for name, value in (
        ("AWS_ACCESS_KEY_ID", NOBODY[0]),
        ("AWS_SECRET_ACCESS_KEY", NOBODY[1]),
        ("AZURE_STORAGE_KEY", NOBODY[2]),
    ):
        monkeypatch.setenv(name, value)
    if KIND == "azure":
        yield load_store(address, Path("unused"))
        return
    reset = f"{read_address()}/moto-api/reset-auth"
    httpx.post(reset, content=b"0").raise_for_status()  # from now on moto looks at credentials
    try:
        yield load_store(address, Path("unused"))
    finally:
        httpx.post(reset, content=b"inf").raise_for_status()


def forget_login(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """Take every credential away; return what is to be told."""
    for name in CLOUDS[KIND].find_environment(""):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(folder / "nothing"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "nothing.json"))
    return {
        "s3": r"no usable credentials \(NoCredentialsError\); they are taken from AWS's chain",
        "gcs": r"no usable credentials \(DefaultCredentialsError\); they are taken from Google's chain",
        "azure": "no storage account is named; set AZURE_STORAGE_ACCOUNT or AZURE_STORAGE_CONNECTION_STRING",
    }[KIND]
