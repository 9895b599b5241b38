"""A container of Azure Blob Storage, through azure-storage-blob."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from anomflow.errors import StoreError
from blocks.stores.bucket import Answer, Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class AzureContainer(Bucket):
    """Speak to a container with the credentials of a block of prefect-azure, or with what the environment says."""

    scheme: ClassVar[str] = "az"
    extra: ClassVar[str] = "azure"
    chain: ClassVar[str] = "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with a key, a SAS token or Azure's own chain"

    @cached_property
    def _client(self) -> Any:
        from azure.storage.blob import ContainerClient  # noqa: PLC0415 - the driver loads when it is used

        text = _find_connection_string(self.credentials)
        if text:
            return ContainerClient.from_connection_string(text, self.name, **self._limits)
        address, login = _find_login(self.place) if self.credentials is None else _read_login(self.credentials)
        return ContainerClient(address, self.name, credential=login, **self._limits)

    @property
    def _limits(self) -> Mapping[str, Any]:
        patience = self.patience
        return {
            "connection_timeout": patience.connect_seconds,
            "read_timeout": patience.read_seconds,
            "retry_total": patience.tries - 1,
            "initial_backoff": 1,
            "increment_base": 2,
        }

    def create(self, key: str, content: bytes) -> bool:
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - as above

        try:
            self._client.upload_blob(key, content, overwrite=False)
        except ResourceExistsError:
            return False
        return True

    def replace(self, key: str, content: bytes) -> None:
        self._client.upload_blob(key, content, overwrite=True)

    def read(self, key: str) -> bytes | None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - as above

        try:
            return bytes(self._client.download_blob(key).readall())
        except ResourceNotFoundError as error:
            if _is_container_missing(error):
                raise
            return None

    def find_keys(self, prefix: str) -> Iterator[str]:
        for name in self._client.list_blob_names(name_starts_with=prefix):
            yield str(name)

    def delete(self, key: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - as above

        try:
            self._client.delete_blob(key)
        except ResourceNotFoundError as error:
            if _is_container_missing(error):
                raise

    def find_answer(self, error: Exception) -> Answer:
        from azure.core import exceptions as of  # noqa: PLC0415 - as above

        name = type(error).__name__
        if isinstance(error, of.HttpResponseError) and error.status_code is not None:
            code = getattr(error, "error_code", None)
            return Answer(error.status_code, str(getattr(code, "value", code) or name), _is_container_missing(error))
        passing = isinstance(error, of.ServiceRequestError | of.ServiceResponseError)
        return Answer(None, name, is_login_missing=not passing)


def _is_container_missing(error: Any) -> bool:
    return str(getattr(error, "error_code", "")).endswith("ContainerNotFound")


def _find_connection_string(credentials: Any) -> str | None:
    if credentials is None:
        return os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
    return None if credentials.connection_string is None else str(credentials.connection_string.get_secret_value())


def _find_login(place: str) -> tuple[str, Any]:
    """Return an account's address and what proves that it is ours, from the variables of Azure's command line."""
    account = os.environ.get("AZURE_STORAGE_ACCOUNT")
    address = os.environ.get("AZURE_STORAGE_SERVICE_ENDPOINT") or (account and f"https://{account}.blob.core.windows.net")
    if not address:
        raise StoreError(f"{place}: no storage account is named; set AZURE_STORAGE_ACCOUNT or AZURE_STORAGE_CONNECTION_STRING")
    key = os.environ.get("AZURE_STORAGE_KEY")
    if key:
        return address, {"account_name": account, "account_key": key} if account else key
    return address, os.environ.get("AZURE_STORAGE_SAS_TOKEN") or _find_default()


def _read_login(credentials: Any) -> tuple[str, Any]:
    """Return what a block says: its own client is an asynchronous one."""
    if credentials.client_id is None:
        return credentials.account_url, _find_default()
    from azure.identity import ClientSecretCredential  # noqa: PLC0415 - as above

    secret = credentials.client_secret.get_secret_value()
    return credentials.account_url, ClientSecretCredential(credentials.tenant_id, credentials.client_id, secret)


def _find_default() -> Any:
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - as above

    return DefaultAzureCredential()
