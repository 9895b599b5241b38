"""Real servers that stand for the object stores of the clouds, and buckets in them, written behind the product's back."""

from __future__ import annotations

import base64
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.services.npm import find_node, install_npm
from tests.services.service import Server, find_free_port, run_server

ACCOUNT = "anomflow"
KEY = base64.b64encode(b"a secret of Azure's account 01234567890123456789").decode()
SECRET = "a/secret+of/AWS+0123456789"
AZURITE = "azurite@3.37.0"


class Buckets(Protocol):
    """The buckets of a running server, by the cloud's own library."""

    def make(self, bucket: str) -> None: ...
    def put(self, bucket: str, key: str, content: bytes) -> None: ...
    def keys(self, bucket: str) -> list[str]: ...


@dataclass(frozen=True)
class Cloud:
    """What stands for a cloud's store: its scheme, its server's command, the environment that leads to an address."""

    scheme: str

    def find_environment(self, url: str) -> dict[str, str]:
        """Return the variables by which a user would name a store at an address, and who he is."""
        return {
            "s3": {
                "AWS_ENDPOINT_URL_S3": url,
                "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_DEFAULT_REGION": "eu-west-1",
            },
            "gs": {"STORAGE_EMULATOR_HOST": url},
            "az": {"AZURE_STORAGE_SERVICE_ENDPOINT": f"{url}/{ACCOUNT}", "AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY},
        }[self.scheme]

    def build_server(self, folder: Path, port: int) -> Server:
        log = folder / "log"
        if self.scheme == "s3":
            return Server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log)
        if self.scheme == "gs":
            program = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}", "--in-memory", "-q"]
            return Server(program, log)
        azurite = install_npm("azurite", AZURITE) / "azurite" / "dist" / "src" / "blob" / "main.js"
        program = [*find_node(), str(azurite), "--blobHost", "127.0.0.1", "--blobPort", str(port), "-l", str(folder)]
        return Server([*program, "--silent", "--skipApiVersionCheck", "--disableTelemetry"], log)

    @contextmanager
    def start(self, folder: Path) -> Iterator[str]:
        """Start the server, wait until it listens, yield its address, stop it."""
        port = find_free_port()
        os.environ["AZURITE_ACCOUNTS"] = f"{ACCOUNT}:{KEY}"
        with run_server(self.build_server(folder, port), lambda: is_listening(port)):
            yield f"http://127.0.0.1:{port}"

    def connect(self) -> Buckets:
        """Connect by the environment."""
        return {"s3": S3Buckets, "gs": GoogleBuckets, "az": AzureBuckets}[self.scheme]()


CLOUDS: Mapping[str, Cloud] = {"s3": Cloud("s3"), "gcs": Cloud("gs"), "azure": Cloud("az")}


def is_listening(port: int) -> bool:
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class S3Buckets:
    def __init__(self) -> None:
        import boto3

        self.client: Any = boto3.client("s3")

    def make(self, bucket: str) -> None:
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def keys(self, bucket: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]


class GoogleBuckets:
    def __init__(self) -> None:
        from google.cloud import storage

        self.client: Any = storage.Client(project="test")

    def make(self, bucket: str) -> None:
        self.client.create_bucket(bucket)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.bucket(bucket).blob(key).upload_from_string(content)

    def keys(self, bucket: str) -> list[str]:
        return [blob.name for blob in self.client.list_blobs(bucket)]


class AzureBuckets:
    def __init__(self) -> None:
        from azure.storage.blob import BlobServiceClient

        login = {"account_name": ACCOUNT, "account_key": KEY}
        self.client: Any = BlobServiceClient(os.environ["AZURE_STORAGE_SERVICE_ENDPOINT"], credential=login)

    def make(self, bucket: str) -> None:
        self.client.create_container(bucket)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.get_container_client(bucket).upload_blob(key, content, overwrite=True)

    def keys(self, bucket: str) -> list[str]:
        return list(self.client.get_container_client(bucket).list_blob_names())
