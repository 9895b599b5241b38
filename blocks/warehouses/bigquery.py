"""BigQuery, over Google's own client."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from anomflow.errors import MissingDependencyError, WarehouseError
from blocks.saved import load_saved
from blocks.warehouses.bigquery_errors import explain_login
from blocks.warehouses.bigquery_jobs import JobLimits, Jobs, Place
from blocks.warehouses.bigquery_session import BigQuerySession
from blocks.warehouses.server import ServerWarehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery import Client

    from blocks.warehouses.relational import RelationalSession

_PROJECT: Final = r"([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]*[a-z0-9]"  # example.com:project is an old form
_DATASET: Final = r"[A-Za-z0-9_]+"
_LABEL: Final = r"[a-z][a-z0-9_-]{0,62}"
_ENDPOINT: Final = r"https?://[^\s/@?#]+(/[^\s@?#]*)?"
_EMULATOR: Final = "BIGQUERY_EMULATOR_HOST"  # Google's client reads it too
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"


class BigQueryWarehouse(ServerWarehouse):
    """Keep observations, models' versions and the ledger in a BigQuery dataset, or read a batch's rows from one."""

    _block_type_name = "Anomflow BigQuery Warehouse"
    _block_type_slug = "anomflow-bigquery-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in a BigQuery dataset."
    _code_example = """
    ```python
    from blocks.warehouses.bigquery import BigQueryWarehouse

    warehouse = BigQueryWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "bigquery"
    dialect: ClassVar[str] = "bigquery"

    dataset: str = Field(
        max_length=1024,
        pattern=rf"^({_PROJECT}\.)?{_DATASET}$",
        description="Dataset of tables that are named without one: DATASET, or PROJECT.DATASET where it is not of the billed project.",
    )
    project: str | None = Field(
        default=None, pattern=rf"^{_PROJECT}$", description="Project that runs and pays the queries; none: that of the login."
    )
    region: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9-]+$", description="Where the dataset lies, as EU or europe-west3; none: BigQuery finds it out."
    )
    gcp_credentials: str | None = Field(default=None, min_length=1, description="Name of a saved block gcp-credentials to log in with.")
    service_account_info: SecretStr | None = Field(
        default=None, description="Key of a service account as JSON text; with neither this nor gcp_credentials: the application default."
    )
    endpoint: str | None = Field(
        default=None, pattern=rf"^{_ENDPOINT}$", description="Address of an emulator or a private endpoint, instead of Google's."
    )
    maximum_bytes_billed: int | None = Field(
        default=None, ge=10_485_760, description="Bytes that one statement may be billed, from 10 MiB; one that would take more is refused."
    )
    labels: dict[str, str] = Field(
        default_factory=lambda: {"application": "anomflow"}, max_length=64, description="Labels of the jobs, which Google's bill shows."
    )
    request_timeout_seconds: float = Field(
        default=60.0, ge=2, le=600, description="Seconds that one request may take, and be tried again, from 2 to 600."
    )
    statement_timeout_seconds: float = Field(
        default=600.0, gt=0, le=21600, description="Seconds that one statement may take before it is cancelled, up to six hours."
    )
    lease_seconds: float = Field(
        default=40.0, ge=2, le=3600, description="Seconds of silence after which a run that died while it wrote is ended by one that waits."
    )

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, value in labels.items():
            if not re.fullmatch(_LABEL, name) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
                raise ValueError(f"{name!r} is no label: names and values have small letters, digits, _ and -, at most 63")
        return labels

    @field_validator("service_account_info")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not _is_key(key.get_secret_value()):
            raise ValueError("must be the JSON text of a service account's key, with type, client_email, private_key and token_uri")
        return key

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if self.gcp_credentials is not None and self.service_account_info is not None:
            raise ValueError("give either gcp_credentials or service_account_info, not both")
        return self

    @property
    def location(self) -> str:
        return f"bigquery:{self._qualify(self.project)}"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        client = self._connect()
        session = BigQuerySession(Jobs(client, self._find_place(client.project)), writable=writable)
        try:
            yield session
        finally:
            session.close()
            client.close()

    def _find_place(self, project: str) -> Place:
        limits = JobLimits(
            self.statement_timeout_seconds,
            self.lock_timeout_seconds,
            lease_seconds=self.lease_seconds,
            http_seconds=self.request_timeout_seconds,
            bytes_billed=self.maximum_bytes_billed,
        )
        return Place(self.location, self._qualify(project), limits, self.labels, has_storage=self._find_endpoint() is None)

    def _qualify(self, project: str | None) -> str:
        return self.dataset if "." in self.dataset or project is None else f"{project}.{self.dataset}"

    def _find_endpoint(self) -> str | None:
        return self.endpoint or os.environ.get(_EMULATOR) or None

    def _connect(self) -> Client:
        try:
            from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - the driver loads when it is used
            from google.cloud import bigquery  # noqa: PLC0415 - as above
        except ImportError as error:
            raise MissingDependencyError("The warehouse bigquery", "gcp") from error
        options = {"api_endpoint": endpoint} if (endpoint := self._find_endpoint()) else None
        try:
            credentials, project = self._log_in()
            return bigquery.Client(project=self.project or project, credentials=credentials, location=self.region, client_options=options)
        except GoogleAuthError as error:
            raise explain_login(error, self.location) from None  # it may quote the key
        except OSError:  # what the client raises where nothing tells the project
            raise WarehouseError(f"{self.location}: the login names no project; give project") from None

    def _log_in(self) -> tuple[Any, str | None]:
        """Return credentials and their project; an emulator, which is reached without TLS, is told no secret."""
        if (self._find_endpoint() or "").startswith("http://"):
            from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - as above

            return AnonymousCredentials(), None
        if self.gcp_credentials is not None:
            return self._load_credentials(self.gcp_credentials)
        if self.service_account_info is not None:
            return _build_credentials(self.service_account_info.get_secret_value())
        return None, None

    def _load_credentials(self, name: str) -> tuple[Any, str | None]:
        try:
            from prefect_gcp.credentials import GcpCredentials  # noqa: PLC0415 - as above
        except ImportError as error:
            raise MissingDependencyError("gcp_credentials of the warehouse bigquery", "gcp") from error
        block = load_saved(GcpCredentials, name, WarehouseError)
        return block.get_credentials_from_service_account(), block.project


def _is_key(text: str) -> bool:
    try:
        key = json.loads(text)
    except ValueError:
        return False
    return isinstance(key, dict) and all(isinstance(key.get(name), str) for name in ("client_email", "private_key", "token_uri"))


def _build_credentials(key: str) -> tuple[Any, str | None]:
    from google.auth.exceptions import MalformedError  # noqa: PLC0415 - as above
    from google.oauth2.service_account import Credentials  # noqa: PLC0415 - as above

    info = json.loads(key)
    try:
        return Credentials.from_service_account_info(info, scopes=[_SCOPE]), info.get("project_id")
    except ValueError:  # of the private key, which it may quote
        raise MalformedError("the private key cannot be read") from None
